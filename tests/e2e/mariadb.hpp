// MariaDB servers for the tests, including MySQL's stand-in.
#pragma once

#include <string>
#include <string_view>

#include "e2e/support.hpp"

namespace e2e {

inline constexpr std::string_view mariadb_password = "it's the fixture's secret";

enum class MariadbKind { mariadb, mysql };

class MariadbServer {
 public:
  // Ready for connections, and empty.
  MariadbServer(E2eFixture& fixture, const std::string& what,
                MariadbKind kind = MariadbKind::mariadb, const Strings& options = {},
                const Strings& arguments = {});

  const std::string& container() const { return container_; }
  MariadbKind kind() const { return kind_; }

  void seed() const;
  void wait_until_ready() const;
  // One line for each table of each database, and for its views, routines, events and triggers.
  std::string row_counts() const;
  // The accounts with their passwords' digests, and what each may do.
  std::string grants() const;
  std::string query(const std::string& sql) const;
  // docker exec of the server's own programs, with root's password in the environment.
  Strings exec(const Strings& argv, std::string_view password = mariadb_password) const;
  // The names that the image's programs have.
  std::string client() const { return kind_ == MariadbKind::mysql ? "mysql" : "mariadb"; }
  std::string dump_program() const {
    return kind_ == MariadbKind::mysql ? "mysqldump" : "mariadb-dump";
  }
  // After mariadb-dump was ended in the middle: no connection of it is left.
  void check_no_dump_connected() const;

 private:
  std::string container_;
  MariadbKind kind_;
};

// One seeded server for all tests of a program that do not change it.
const MariadbServer& shared_mariadb();

}  // namespace e2e
