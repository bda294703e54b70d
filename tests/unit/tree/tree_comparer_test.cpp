#include "bba/tree/tree_comparer.hpp"

#include <algorithm>
#include <random>

#include "unit/sets.hpp"

namespace bba::tree {
namespace {

using namespace test;
using pipe::TarEntry;
using pipe::TarType;
using Tree = std::vector<std::pair<TarEntry, std::string>>;

Tree sample() {
  TarEntry capable = tar_entry("data/ping");
  capable.xattrs["security.capability"] = std::string("\1\0\0\2\0", 5);
  return {{tar_entry("data", TarType::directory), ""},
          {tar_entry("data/app.db"), "content"},
          {tar_entry("data/again", TarType::hard_link, "data/app.db"), ""},
          {tar_entry("data/empty"), ""},
          {tar_entry("data/pipe", TarType::fifo), ""},
          {capable, "program"},
          {tar_entry("data/to", TarType::symlink, "app.db"), ""}};
}

// What comes back after `expected` was restored, read as a tar by the real reader.
TreeComparer compared(const Tree& expected, const Tree& restored,
                      bool implied_directories = false) {
  TreeComparer comparer(implied_directories);
  EntryWalk first([&](const TarEntry& entry, const std::string& content) {
    comparer.add_expected(entry, content);
  });
  pipe::TarReader in(first, nullptr);
  pipe::test::feed(in, tar_of(expected), 700);
  comparer.close();
  EntryWalk second([&](const TarEntry& entry, const std::string& content) {
    comparer.add_actual(entry, content);
  });
  pipe::TarReader back(second, nullptr);
  pipe::test::feed(back, tar_of(restored), 1000);
  return comparer;
}

bool same(const Tree& expected, const Tree& restored) {
  return compared(expected, restored).same();
}

}  // namespace

TEST_CASE("the same entries are the same in any order") {
  const Tree tree = sample();
  const TreeComparer comparer = compared(tree, tree);
  CHECK(comparer.same());
  CHECK(comparer.entries() == 7);
  CHECK(comparer.content_bytes() == 14);
  CHECK(comparer.times_clamped() == 0);
  std::mt19937_64 random(1);
  for (int i = 0; i < 20; ++i) {
    Tree shuffled = tree;
    std::shuffle(shuffled.begin(), shuffled.end(), random);
    CHECK(same(tree, shuffled));
    CHECK(same(shuffled, tree));
  }
  CHECK(same({}, {}));
}

TEST_CASE("each single change of each entry is found, and described") {
  using Change = std::function<void(std::pair<TarEntry, std::string>&)>;
  const std::vector<std::pair<std::string, Change>> changes{
      {"its mode is 0640, and 0604 after restoring", [](auto& one) { one.first.mode = 0604; }},
      {"its mode is 0640, and 4640 after restoring", [](auto& one) { one.first.mode = 04640; }},
      {"its owner is 0:0, and 1:0 after restoring", [](auto& one) { one.first.uid = 1; }},
      {"its owner is 0:0, and 0:9 after restoring", [](auto& one) { one.first.gid = 9; }},
      {"its time is 2023-11-14T22:13:20Z, and 2023-11-14T22:13:21Z after restoring",
       [](auto& one) { ++one.first.mtime; }},
      {"its file capabilities differ after restoring",
       [](auto& one) { one.first.xattrs["security.capability"] = "x"; }},
  };
  const Tree tree = sample();
  for (std::size_t i = 0; i < tree.size(); ++i) {
    for (const auto& [said, change] : changes) {
      Tree other = tree;
      change(other[i]);
      CAPTURE(tree[i].first.path);
      CAPTURE(said);
      const TreeComparer comparer = compared(tree, other);
      CHECK_FALSE(comparer.same());
      CHECK(comparer.differing() == std::set<EntryDigest>{digest_of_path(tree[i].first.path)});
      CHECK(entry_difference({tree[i].first, ""}, {other[i].first, ""}) == said);
    }
  }
  Tree other = tree;
  other[1].second = "cOntent";
  CHECK_FALSE(same(tree, other));
  other[1].second = "content ";
  CHECK_FALSE(same(tree, other));
  other = tree;
  other[6].first.link = "app.dB";
  CHECK_FALSE(same(tree, other));
  other = tree;
  other[2].first.link = "data/empty";
  CHECK_FALSE(same(tree, other));
  other = tree;
  other[3].first.type = TarType::fifo;
  CHECK_FALSE(same(tree, other));
}

TEST_CASE("the differences that matter most are named first") {
  const auto facts = [](TarEntry entry, std::string content) {
    return EntryFacts{std::move(entry), std::move(content)};
  };
  TarEntry file = tar_entry("f");
  CHECK(entry_difference(facts(file, "a"), facts(file, "a")).empty());
  CHECK(entry_difference(facts(file, "a"), facts(file, "b")) ==
        "its content's sha256 is a, and b after restoring");
  CHECK(entry_difference(facts(file, ""), facts(tar_entry("f", TarType::symlink, "x"), "")) ==
        "its type is file, and symlink after restoring");
  TarEntry longer = file;
  longer.size = 7;
  CHECK(entry_difference(facts(file, ""), facts(longer, "")) ==
        "its size is 0, and 7 after restoring");
  const TarEntry link = tar_entry("l", TarType::symlink, "a\nb");
  CHECK(entry_difference(facts(link, ""), facts(tar_entry("l", TarType::symlink, "c"), "")) ==
        "its link is a\\nb, and c after restoring");
  TarEntry device = tar_entry("d", TarType::block_device);
  TarEntry other = device;
  other.dev_minor = 3;
  CHECK(entry_difference(facts(device, ""), facts(other, "")) ==
        "its device is 0:0, and 0:3 after restoring");
}

TEST_CASE("entries that are missing, new, or in the artifact twice") {
  const Tree tree = sample();
  for (std::size_t i = 0; i < tree.size(); ++i) {
    Tree less = tree;
    less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
    const TreeComparer missing = compared(tree, less);
    CHECK(missing.differing() == std::set<EntryDigest>{digest_of_path(tree[i].first.path)});
    CHECK(missing.first_unexpected().empty());
    const TreeComparer added = compared(less, tree);
    CHECK(added.differing().empty());
    CHECK(added.first_unexpected() == tree[i].first.path);
    CHECK_FALSE(added.same());
    // Where directories are implied, a directory alone may be new.
    CHECK(compared(less, tree, true).same() == (tree[i].first.type == TarType::directory));
    Tree twice = tree;
    twice.push_back(tree[i]);
    CHECK_FALSE(same(twice, tree));
  }
}

TEST_CASE("times that the engine cannot set are expected as 1970, and counted") {
  CHECK(extracted_mtime(-1) == 0);
  CHECK(extracted_mtime(0) == 0);
  CHECK(extracted_mtime(1) == 1);
  CHECK(extracted_mtime(9'223'372'036) == 9'223'372'036);
  CHECK(extracted_mtime(9'223'372'037) == 0);
  Tree tree = sample();
  tree[1].first.mtime = -86'400;
  Tree restored = tree;
  restored[1].first.mtime = 0;
  const TreeComparer comparer = compared(tree, restored);
  CHECK(comparer.same());
  CHECK(comparer.times_clamped() == 1);
  restored[1].first.mtime = 1;
  CHECK_FALSE(same(tree, restored));
}

TEST_CASE("of very many differences only a thousand are kept") {
  Tree tree;
  for (int i = 0; i < 3000; ++i) tree.push_back({tar_entry("f" + std::to_string(i)), ""});
  CHECK(compared(tree, {}).differing().size() == 1000);
  Tree other = tree;
  for (auto& one : other) one.first.mode = 0600;
  CHECK(compared(tree, other).differing().size() == 1000);
}

}  // namespace bba::tree
