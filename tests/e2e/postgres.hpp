// PostgreSQL servers for the tests, and programs that replace pg_dumpall.
#pragma once

#include <string>
#include <string_view>

#include "e2e/support.hpp"

namespace e2e {

inline constexpr std::string_view password = "s3cret-of-the-fixture";

enum class Kind { official, official_17, bitnami, peer };

class Server {
 public:
  // Ready for connections, and empty.
  Server(E2eFixture& fixture, const std::string& what, Kind kind = Kind::official);

  const std::string& container() const { return container_; }
  Kind kind() const { return kind_; }

  void seed() const;
  void wait_until_ready() const;
  // The server's whole content, as its own pg_dumpall prints it.
  std::string dump() const;
  // One line for each table of each database.
  std::string row_counts() const;
  std::string query(const std::string& database, const std::string& sql) const;
  // docker exec of the server's own programs, as its superuser.
  Strings exec(const Strings& argv) const;
  // A PostgreSQL server takes the end of an inherited child by a signal for a crash of its own,
  // and disconnects every client.
  void check_not_disturbed() const;

 private:
  std::string container_;
  Kind kind_;
};

// One seeded server for all tests of a program that do not change it.
const Server& shared_server();

// A program in place of pg_dumpall, for as long as this object lives.
class FakeDump {
 public:
  FakeDump(std::string container, const std::string& script, const std::string& mode = "755");
  FakeDump(const FakeDump&) = delete;
  FakeDump& operator=(const FakeDump&) = delete;
  ~FakeDump();

 protected:
  const std::string& container() const { return container_; }

 private:
  std::string container_;
};

// pg_dumpall is not there for as long as this lives; psql stays.
class HiddenDump {
 public:
  explicit HiddenDump(std::string container);
  HiddenDump(const HiddenDump&) = delete;
  HiddenDump& operator=(const HiddenDump&) = delete;
  ~HiddenDump();

 private:
  std::string container_;
};

// Writes some megabytes of dump, says so, and waits until it is ended.
class WaitingDump : public FakeDump {
 public:
  // One process, or one that always has a child process.
  static constexpr std::string_view alone = "mkfifo -m 600 /tmp/e2e-$$ && read -r _ </tmp/e2e-$$\n";
  static constexpr std::string_view with_children = "while :; do sleep 0.1; done\n";

  explicit WaitingDump(const std::string& container, std::string_view wait = alone);
  // Half of what that run asked for is written, and the program waits.
  void wait_until_half_way(const Process& run) const;

 private:
  std::string half_way_;
};

}  // namespace e2e
