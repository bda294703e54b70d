// Redis and Valkey servers for the cases, and how to look into them.
#pragma once

#include <string>

#include "e2e/support.hpp"

namespace e2e {

inline constexpr std::string_view redis_password = "s3cret-of-the-cache";

struct RedisSetup {
  std::string image = "bba-fixture/redis:7";
  Strings options = {};    // of docker run
  Strings arguments = {};  // of the server, added to those that every test needs
  std::string password = {};
  // A shell command in place of the image's own; $SERVER_OPTIONS stands for the server's options.
  std::string shell = {};
};

class RedisServer {
 public:
  // Ready for commands, and empty. It saves only on request.
  RedisServer(E2eFixture& fixture, const std::string& what, RedisSetup setup = {});

  const std::string& container() const { return container_; }
  const RedisSetup& setup() const { return setup_; }

  // Keys of every type in db0 and db3, some of them with a time to live.
  void seed() const;
  // About this many KiB that do not compress to less than a half.
  void seed_noise(int kibibytes) const;
  void wait_until_ready() const;
  // The server's answer; throws where it is an error.
  std::string ask(const Strings& command) const;
  // One field of INFO.
  std::string info(const std::string& field) const;
  // A digest of all keys and values.
  std::string digest() const;
  // As the manifest has it: {"db0": {"keys": 17, "expires": 2}}.
  Json keyspace() const;
  // From now on a save, or a rewrite of the append-only file, takes this long for each key: seed()
  // makes about 430 of them.
  void slow_saves(std::chrono::microseconds each_key) const;
  // The server's child that writes an RDB or a new append-only file; waits for one.
  pid_t saver() const;

 private:
  Ended run_client(const Strings& command) const;

  std::string container_;
  RedisSetup setup_;
};

// Suspends the server's save that is under way, until it is resumed.
class SuspendedSave {
 public:
  explicit SuspendedSave(const RedisServer& server);
  SuspendedSave(const SuspendedSave&) = delete;
  SuspendedSave& operator=(const SuspendedSave&) = delete;
  ~SuspendedSave() { resume(); }

  void resume();

 private:
  pid_t saver_;
};

}  // namespace e2e
