#include "bba/store/manifest_checksum.hpp"

#include <array>
#include <cstdio>

#include <doctest/doctest.h>

#include "unit/sets.hpp"

namespace bba::store {
namespace {

using namespace test;

store::Manifest a_manifest() {
  SetDirectory fixture;
  return put_set(fixture, "web", noon, {{"", tar_content()}});
}

}  // namespace

TEST_CASE("a manifest with a checksum is the manifest, with its checksum as the last key") {
  const store::Manifest manifest = a_manifest();
  const std::string text = with_checksum(store::to_json(manifest));
  CHECK(checksum_error(text) == "");
  Json json = *parse_json(text);
  CHECK(std::prev(json.end()).key() == "sha256");
  json.erase("sha256");
  CHECK(json == store::to_json(manifest));
  CHECK(store::to_json(store::manifest_from_json(text)) == store::to_json(manifest));
}

TEST_CASE("a shell computes the same checksum") {
  const pipe::test::TempDir temp;
  const std::string text = with_checksum(store::to_json(a_manifest()));
  write_file(temp / "manifest.json", text);
  const std::string command = "head -n -2 " + (temp / "manifest.json") + " | sha256sum";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 65> sum{};
  CHECK(std::fread(sum.data(), 1, 64, pipe) == 64);
  ::pclose(pipe);
  CHECK(parse_json(text)->at("sha256") == sum.data());
}

TEST_CASE("the checksum covers every bit of every byte, and whatever is inserted or removed") {
  const std::string text = with_checksum(store::to_json(a_manifest()));
  std::size_t missed = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string edited = text;
    for (int bit = 0; bit < 8; ++bit) {
      edited[at] = static_cast<char>(text[at] ^ (1 << bit));
      missed += checksum_error(edited).empty() ? 1 : 0;
    }
    edited = text;
    edited.erase(at, 1);
    missed += checksum_error(edited).empty() ? 1 : 0;
    edited = text;
    edited.insert(at, " ");
    missed += checksum_error(edited).empty() ? 1 : 0;
    missed += checksum_error(text.substr(0, at)).empty() ? 1 : 0;
  }
  CHECK(missed == 0);
  for (const std::string& edited : {text + "\n", text + text, pretty_json(*parse_json("{}")),
                                    std::string(), dump_json(*parse_json(text))}) {
    CHECK(contains(checksum_error(edited), "edited"));
  }
}

}  // namespace bba::store
