#include "services/vault/snapshot_check.hpp"

#include <map>
#include <string>

#include "bba/pipe/digest.hpp"
#include "unit/pipe/tar_blocks.hpp"

namespace bba::services::vault {
namespace {

namespace test = pipe::test;

std::string sha256(const std::string& text) {
  pipe::Hasher hasher;
  hasher.update(as_bytes(text));
  return hasher.hex();
}

// The parts of a snapshot, each of which a test can falsify.
struct Parts {
  std::string state = test::random_bytes(3000, 1);
  std::string meta = R"({"Version":1,"ID":"bolt-snapshot","Index":4711,"Term":3,"Peers":null,)"
                     R"("Configuration":{"Servers":[]},"ConfigurationIndex":1,"Size":3000})"
                     "\n";
  std::string sums = sha256(meta) + "  meta.json\n" + sha256(state) + "  state.bin\n";
  std::string sealed = "sealed bytes";

  std::string tar() const {
    return test::file_entry("meta.json", meta) + test::file_entry("state.bin", state) +
           test::file_entry("SHA256SUMS", sums) + test::file_entry("SHA256SUMS.sealed", sealed) +
           test::end_blocks;
  }
};

std::string gzipped(const std::string& tar) {
  return test::compressed(pipe::Compression::gzip, tar);
}

std::string raw_error(const std::string& snapshot, std::size_t step = 4096) {
  SnapshotCheck check;
  return test::error_of([&] { test::feed(check, snapshot, step); });
}
std::string tar_error(const std::string& tar) {
  return raw_error(gzipped(tar));
}

TEST_CASE("A complete snapshot gives index, term and size") {
  const std::string snapshot = gzipped(Parts().tar());
  for (const std::size_t step : {1U, 2U, 100U, 100'000U}) {
    SnapshotCheck check;
    test::feed(check, snapshot, step);
    CHECK(check.index() == 4711);
    CHECK(check.term() == 3);
    CHECK(check.state_bytes() == 3000);
  }
}

TEST_CASE("The order of the files and of the sums does not matter") {
  const Parts parts;
  const std::string sums =
      sha256(parts.state) + "  state.bin\n" + sha256(parts.meta) + "  meta.json";
  CHECK(tar_error(test::file_entry("SHA256SUMS.sealed", "s") +
                  test::file_entry("SHA256SUMS", sums) +
                  test::file_entry("state.bin", parts.state) +
                  test::file_entry("meta.json", parts.meta) + test::end_blocks)
            .empty());
}

TEST_CASE("A snapshot cut anywhere is an error") {
  const std::string snapshot = gzipped(Parts().tar());
  for (std::size_t size = 0; size < snapshot.size(); ++size) {
    CHECK_FALSE(raw_error(snapshot.substr(0, size)).empty());
  }
  CHECK_FALSE(raw_error(snapshot + "x").empty());
  CHECK_FALSE(raw_error(snapshot + snapshot).empty());
}

TEST_CASE("A snapshot whose tar was cut before it was compressed is an error") {
  const std::string tar = Parts().tar();
  for (std::size_t size = 0; size < tar.size(); size += 64) {
    CHECK_FALSE(tar_error(tar.substr(0, size)).empty());
  }
}

TEST_CASE("Checksums that are wrong, missing, repeated or of other files are errors") {
  Parts wrong_state;
  wrong_state.state[100] = static_cast<char>(wrong_state.state[100] ^ 1);
  CHECK(tar_error(wrong_state.tar()) == "raft snapshot: state.bin does not match its sum");

  Parts wrong_meta;
  wrong_meta.meta.replace(wrong_meta.meta.find("4711"), 4, "4712");
  CHECK(tar_error(wrong_meta.tar()) == "raft snapshot: meta.json does not match its sum");

  Parts parts;
  const std::string meta_sum = sha256(parts.meta) + "  meta.json\n";
  const std::string state_sum = sha256(parts.state) + "  state.bin\n";
  const auto with_sums = [&](const std::string& sums) {
    parts.sums = sums;
    return tar_error(parts.tar());
  };
  CHECK(with_sums(meta_sum) == "raft snapshot: SHA256SUMS does not name state.bin");
  CHECK(with_sums(state_sum) == "raft snapshot: SHA256SUMS does not name meta.json");
  CHECK(with_sums("") == "raft snapshot: SHA256SUMS does not name meta.json");
  CHECK(with_sums(meta_sum + state_sum + meta_sum) ==
        "raft snapshot: SHA256SUMS names meta.json twice");
  CHECK(with_sums(meta_sum + state_sum + sha256("") + "  other\n") ==
        "raft snapshot: SHA256SUMS names other");
  CHECK(with_sums(meta_sum + "\n" + state_sum) ==
        "raft snapshot: a line of SHA256SUMS is not a sum and a name");
  CHECK(with_sums(meta_sum + state_sum).empty());
}

TEST_CASE("Files that are missing, repeated, unknown or not regular are errors") {
  const Parts parts;
  const std::map<std::string, std::string> contents{{"meta.json", parts.meta},
                                                    {"state.bin", parts.state},
                                                    {"SHA256SUMS", parts.sums},
                                                    {"SHA256SUMS.sealed", parts.sealed}};
  for (const auto& [missing, unused] : contents) {
    std::string tar;
    for (const auto& [name, content] : contents) {
      if (name != missing) tar += test::file_entry(name, content);
    }
    CHECK(tar_error(tar + test::end_blocks) == "raft snapshot: it has no " + missing);
  }
  CHECK(tar_error(test::file_entry("meta.json", parts.meta) + parts.tar()) ==
        "raft snapshot: it holds meta.json twice");
  CHECK(tar_error(test::file_entry("extra", "x") + parts.tar()) ==
        "raft snapshot: extra does not belong in one");
  CHECK(tar_error(test::header_block({.name = "meta.json", .type = '2', .link = "/etc/passwd"}) +
                  test::end_blocks) == "raft snapshot: meta.json does not belong in one");
  CHECK(tar_error(test::end_blocks) == "raft snapshot: it has no SHA256SUMS");
}

TEST_CASE("An empty sealed file is an error") {
  Parts parts;
  parts.sealed.clear();
  CHECK(tar_error(parts.tar()) == "raft snapshot: SHA256SUMS.sealed is empty");
}

TEST_CASE("A meta.json that does not fit is an error") {
  const auto with_meta = [](const std::string& meta) {
    Parts parts;
    parts.meta = meta;
    parts.sums = sha256(meta) + "  meta.json\n" + sha256(parts.state) + "  state.bin\n";
    return tar_error(parts.tar());
  };
  CHECK(with_meta(R"({"Index":1,"Term":1,"Size":2999})") ==
        "raft snapshot: state.bin has 3000 bytes, not the 2999 that meta.json says");
  CHECK(with_meta(R"({"Index":1,"Term":1})") == "raft snapshot: meta.json has no Size");
  CHECK(with_meta(R"({"Index":1,"Size":3000})") == "raft snapshot: meta.json has no Term");
  CHECK(with_meta(R"({"Term":1,"Size":3000})") == "raft snapshot: meta.json has no Index");
  CHECK(with_meta(R"({"Index":1,"Term":1,"Size":-3000})") ==
        "raft snapshot: meta.json has no Size");
  for (const std::string& broken : {std::string("{"), std::string("[]"), std::string(),
                                    std::string(50'000, '['), std::string("null")}) {
    CHECK(with_meta(broken) == "raft snapshot: meta.json is not a JSON object");
  }
  CHECK(with_meta(std::string(100'000, ' ')) ==
        "raft snapshot: meta.json is too large: 100000 bytes");
}

TEST_CASE("An error text instead of a snapshot is an error") {
  CHECK(raw_error("Error taking the snapshot: permission denied\n").starts_with("gzip: "));
  CHECK(raw_error("") == "gzip: cut at byte 0, before the trailer's end");
}

TEST_CASE("Mutated snapshots are refused") {
  const Parts parts;
  const std::string tar = parts.tar();
  const std::string snapshot = gzipped(tar);
  std::mt19937_64 random(3);
  std::size_t refused = 0;
  for (int i = 0; i < 1500; ++i) {
    if (!raw_error(test::mutated(snapshot, random), 1 + random() % 4000).empty()) ++refused;
    if (!tar_error(test::mutated(tar, random)).empty()) ++refused;
  }
  CHECK(refused > 2000);
}

}  // namespace
}  // namespace bba::services::vault
