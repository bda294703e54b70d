// The host's own walk over the data against the tar that the engine would send.
#include "bba/tree/tar_against_walk.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"

namespace fs = std::filesystem;
using namespace bba;
using namespace bba::tree;
using pipe::TarEntry;
using pipe::TarType;

namespace {

// A small tree with one of each kind, all of it dated to the same second.
class Tree {
 public:
  Tree() {
    std::string name = (fs::temp_directory_path() / "bba-listing-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    top_ = name;
    root_ = name + "/data";
    fs::create_directory(root_);
    file("a.txt", "first");
    fs::create_directory(root_ + "/dir");
    file("dir/b.bin", std::string(1000, 'b'));
    fs::create_hard_link(root_ + "/a.txt", root_ + "/dir/hard");
    fs::create_symlink("../a.txt", root_ + "/dir/soft");
    REQUIRE(::mkfifo((root_ + "/pipe").c_str(), 0600) == 0);
    fs::create_directory(root_ + "/zero");
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree() { fs::remove_all(top_); }

  const std::string& root() const { return root_; }
  std::string operator/(const std::string& name) const { return root_ + "/" + name; }
  void file(const std::string& name, const std::string& content) const {
    std::ofstream(root_ + "/" + name, std::ios::binary) << content;
  }

  // The tar that a correct engine sends, in its order.
  std::vector<TarEntry> tar() const {
    std::vector<TarEntry> entries{entry("")};
    add_below("", entries);
    return entries;
  }

 private:
  TarEntry entry(const std::string& below) const {
    const std::string path = below.empty() ? root_ : root_ + "/" + below;
    struct stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    TarEntry one;
    one.path = below.empty() ? "data" : "data/" + below;
    one.mode = status.st_mode & 07777;
    one.uid = status.st_uid;
    one.gid = status.st_gid;
    one.mtime = status.st_mtim.tv_sec;
    if (S_ISDIR(status.st_mode)) one.type = TarType::directory;
    if (S_ISFIFO(status.st_mode)) one.type = TarType::fifo;
    if (S_ISLNK(status.st_mode)) {
      one.type = TarType::symlink;
      one.link = fs::read_symlink(path).string();
    }
    if (S_ISREG(status.st_mode)) one.size = static_cast<std::uint64_t>(status.st_size);
    if (below == "dir/hard") {
      one.type = TarType::hard_link;
      one.link = "data/a.txt";
      one.size = 0;
    }
    return one;
  }

  void add_below(const std::string& below, std::vector<TarEntry>& entries) const {
    std::vector<std::string> names;
    for (const auto& each : fs::directory_iterator(below.empty() ? root_ : root_ + "/" + below)) {
      if (!each.is_socket()) names.push_back(each.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      const std::string path = below.empty() ? name : below + "/" + name;
      entries.push_back(entry(path));
      if (entries.back().type == TarType::directory) add_below(path, entries);
    }
  }

  std::string top_;
  std::string root_;
};

ArchiveRules rules_for(const Tree& tree) {
  ArchiveRules rules;
  rules.path = "/srv/data";
  rules.host_path = tree.root();
  return rules;
}

struct Checked {
  std::string error;
  ArchiveCounts counts;
};

// `between` is called when all of an entry's content has passed, with its path.
Checked check(const ArchiveRules& rules, const std::vector<TarEntry>& tar,
              const std::function<void(const std::string&)>& between = {}) {
  ArchiveCheck checker(rules);
  try {
    for (const TarEntry& entry : tar) {
      if (!checker.entry(entry)) continue;
      if (between) between(entry.path);
      checker.entry_end();
    }
    checker.finish();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::capture);
    return {error.what(), checker.counts()};
  }
  return {"", checker.counts()};
}

TarEntry& named(std::vector<TarEntry>& tar, const std::string& path) {
  const auto found =
      std::find_if(tar.begin(), tar.end(), [&](const TarEntry& one) { return one.path == path; });
  REQUIRE_MESSAGE(found != tar.end(), path);
  return *found;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("tar against walk: an honest tar equals the host, and everything is counted") {
  const Tree tree;
  const Checked checked = check(rules_for(tree), tree.tar());
  CHECK(checked.error == "");
  CHECK(checked.counts.files == 2);
  CHECK(checked.counts.directories == 3);  // the root, dir and zero
  CHECK(checked.counts.symlinks == 1);
  CHECK(checked.counts.hard_links == 1);
  CHECK(checked.counts.others == 1);
  CHECK(checked.counts.content_bytes == 1005);
  CHECK(checked.counts.changed == 0);
  CHECK(found_json(checked.counts)["entries"] == 8);
}

TEST_CASE("tar against walk: a single file as the archive") {
  const Tree tree;
  ArchiveRules rules = rules_for(tree);
  rules.path = "/srv/a.txt";
  rules.host_path = tree / "a.txt";
  std::vector<TarEntry> tar = tree.tar();
  TarEntry only = named(tar, "data/a.txt");
  only.path = "a.txt";
  CHECK(check(rules, {only}).error == "");
  only.size = 4;
  CHECK(contains(check(rules, {only}).error, "/srv/a.txt: 4 bytes in the archive, 5 on this host"));
}

TEST_CASE("tar against walk: entries in another order are the same tree") {
  const Tree tree;
  std::vector<TarEntry> tar = tree.tar();
  std::reverse(tar.begin(), tar.end());
  CHECK(check(rules_for(tree), tar).error == "");
  std::rotate(tar.begin(), tar.begin() + 3, tar.end());
  CHECK(check(rules_for(tree), tar).error == "");
}

TEST_CASE("tar against walk: every changed field of a tar is found and named") {
  const Tree tree;
  struct Case {
    std::string path;  // of the entry that is changed
    std::function<void(TarEntry&)> change;
    std::string error;
  };
  const std::vector<Case> cases{
      {"data/a.txt", [](TarEntry& e) { e.size = 4; }, "/srv/data/a.txt: 4 bytes in the archive, 5"},
      {"data/a.txt", [](TarEntry& e) { e.mode ^= 0100; }, "/srv/data/a.txt: mode "},
      {"data/zero", [](TarEntry& e) { e.mode ^= 01000; }, "/srv/data/zero: mode "},
      {"data/dir/b.bin", [](TarEntry& e) { e.uid += 1; }, "/srv/data/dir/b.bin: owner "},
      {"data/dir/b.bin", [](TarEntry& e) { e.gid += 1; }, "/srv/data/dir/b.bin: owner "},
      {"data/pipe", [](TarEntry& e) { e.mtime -= 1; }, "/srv/data/pipe: modified at "},
      {"data", [](TarEntry& e) { e.mtime += 1; }, "/srv/data: modified at "},
      {"data/dir/soft", [](TarEntry& e) { e.link = "../b.txt"; },
       "/srv/data/dir/soft: a link to ../b.txt in the archive, to ../a.txt"},
      {"data/dir/hard", [](TarEntry& e) { e.link = "data/dir/b.bin"; },
       "/srv/data/dir/hard: a hard link to dir/b.bin in the archive, not on this host"},
      {"data/dir/hard", [](TarEntry& e) { e.link = "data/gone"; }, "a hard link to gone"},
      {"data/pipe", [](TarEntry& e) { e.type = TarType::file; },
       "/srv/data/pipe: a file in the archive, a FIFO on this host"},
      {"data/zero", [](TarEntry& e) { e.type = TarType::symlink; },
       "/srv/data/zero: a symlink in the archive, a directory on this host"},
      {"data/a.txt", [](TarEntry& e) { e.type = TarType::character_device; },
       "a character device in the archive, a file on this host"},
      {"data/a.txt", [](TarEntry& e) { e.xattrs["security.capability"] = "x"; },
       "/srv/data/a.txt: other file capabilities"},
      {"data/a.txt", [](TarEntry& e) { e.path = "data/a.tx"; }, "/srv/data/a.tx"},
      {"data/a.txt", [](TarEntry& e) { e.path = "other/a.txt"; },
       "the engine's tar holds other/a.txt, which is not below data"},
      {"data/a.txt", [](TarEntry& e) { e.path = "database/a.txt"; }, "which is not below data"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.path);
    CAPTURE(one.error);
    std::vector<TarEntry> tar = tree.tar();
    one.change(named(tar, one.path));
    const std::string error = check(rules_for(tree), tar).error;
    CHECK_MESSAGE(contains(error, one.error), error);
  }
}

TEST_CASE("tar against walk: missing entries and additional ones are reported") {
  const Tree tree;
  const std::vector<TarEntry> tar = tree.tar();
  for (std::size_t i = 0; i < tar.size(); ++i) {
    CAPTURE(tar[i].path);
    std::vector<TarEntry> less = tar;
    less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
    const std::string error = check(rules_for(tree), less).error;
    CHECK_MESSAGE(contains(error, "/srv/" + tar[i].path +
                                      " is on this host but not in the engine's tar (1 such)"),
                  error);
  }
  std::vector<TarEntry> more = tar;
  more.push_back(tar.back());
  more.back().path = "data/ghost";
  CHECK(contains(check(rules_for(tree), more).error,
                 "/srv/data/ghost is in the engine's tar but was not found on this host"));
  // The same entry twice is one too many.
  std::vector<TarEntry> twice = tar;
  twice.push_back(tar.back());
  CHECK(check(rules_for(tree), twice).error != "");
  CHECK(contains(check(rules_for(tree), {}).error, "(8 such)"));
}

TEST_CASE("tar against walk: sockets are counted, and not expected in the tar") {
  const Tree tree;
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = tree / "s";
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::close(socket);
  const Checked checked = check(rules_for(tree), tree.tar());
  CHECK(checked.error == "");
  CHECK(checked.counts.sockets == 1);
  CHECK(found_json(checked.counts)["not_carried"]["sockets"] == 1);
}

TEST_CASE("tar against walk: what is left out on purpose is expected on neither side") {
  const Tree tree;
  for (const std::string pattern : {"/srv/data/dir", "/srv/data/d*", "*/dir"}) {
    CAPTURE(pattern);
    ArchiveRules rules = rules_for(tree);
    rules.excludes = {pattern};
    const Checked all = check(rules, tree.tar());
    CHECK(all.error == "");
    CHECK(all.counts.files == 1);
    CHECK(all.counts.directories == 2);
    std::vector<TarEntry> less = tree.tar();
    std::erase_if(less, [](const TarEntry& one) { return one.path.starts_with("data/dir"); });
    CHECK(check(rules, less).error == "");
  }
  // A pattern never leaves out the archive itself.
  ArchiveRules rules = rules_for(tree);
  rules.excludes = {"/srv/data"};
  const Checked checked = check(rules, {tree.tar().front()});
  CHECK(checked.error == "");
  CHECK(checked.counts.directories == 1);
}

TEST_CASE("tar against walk: a mount inside stays as an empty directory") {
  const Tree tree;
  ArchiveRules rules = rules_for(tree);
  rules.nested = {"/srv/data/dir"};
  const Checked checked = check(rules, tree.tar());
  CHECK(checked.error == "");
  CHECK(checked.counts.directories == 3);
  CHECK(checked.counts.files == 1);
  std::vector<TarEntry> less = tree.tar();
  std::erase_if(less, [](const TarEntry& one) { return one.path == "data/dir"; });
  CHECK(contains(check(rules, less).error, "/srv/data/dir is on this host but not"));
}

TEST_CASE("tar against walk: at a mountpoint inside, the engine's view and the host's may differ") {
  const Tree tree;
  ArchiveRules rules = rules_for(tree);
  rules.nested = {"/srv/data/dir", "/srv/data/a.txt", "/srv/data/pipe"};
  std::vector<TarEntry> tar = tree.tar();
  // The other names of a.txt's inode are in dir.
  TarEntry& directory = named(tar, "data/dir");
  directory.mode = 0700;
  directory.uid = 1234;
  directory.mtime -= 1000;
  named(tar, "data/a.txt").size = 12345;
  const Checked checked = check(rules, tar);
  CHECK(checked.error == "");
  CHECK(checked.counts.directories == 3);
  CHECK(checked.counts.files == 0);
  CHECK(checked.counts.others == 0);
  CHECK(checked.counts.content_bytes == 0);
  // A restore cannot replace a mountpoint.
  ArchiveCheck checker(rules);
  CHECK_FALSE(checker.entry(named(tar, "data/a.txt")));
  CHECK(checker.entry(directory));

  // A file that the engine does not show, as a socket is mounted there.
  std::erase_if(tar, [](const TarEntry& one) { return one.path == "data/a.txt"; });
  CHECK(check(rules, tar).error == "");
  // A directory has to be there on both sides.
  std::erase_if(tar, [](const TarEntry& one) { return one.path == "data/dir"; });
  CHECK(contains(check(rules, tar).error, "/srv/data/dir is on this host but not"));
}

TEST_CASE("tar against walk: a hard link to what is left out is not a copy of it") {
  const Tree tree;
  ArchiveRules rules = rules_for(tree);
  rules.excludes = {"/srv/data/a.txt"};
  CHECK(check(rules, tree.tar()).error ==
        "/srv/data/dir/hard is a hard link to /srv/data/a.txt, which is left out");
}

TEST_CASE("tar against walk: an archive of a symlink alone is refused, naming the link's target") {
  const Tree tree;
  ArchiveRules rules = rules_for(tree);
  rules.path = "/srv/soft";
  rules.host_path = tree / "dir/soft";
  std::vector<TarEntry> tar = tree.tar();
  TarEntry link = named(tar, "data/dir/soft");
  link.path = "soft";
  CHECK(check(rules, {link}).error ==
        "/srv/soft is a symlink to ../a.txt: its archive would hold the link alone");
}

TEST_CASE("tar against walk: owners that the engine remaps are not compared") {
  const Tree tree;
  std::vector<TarEntry> tar = tree.tar();
  for (TarEntry& entry : tar) entry.uid += 100000;
  CHECK(check(rules_for(tree), tar).error != "");
  ArchiveRules rules = rules_for(tree);
  rules.compare_owners = false;
  CHECK(check(rules, tar).error == "");
}

TEST_CASE("tar against walk: a file that is truncated or written while it is read") {
  const std::vector<std::function<void(const std::string&)>> changes{
      [](const std::string& path) { REQUIRE(::truncate(path.c_str(), 10) == 0); },
      // The size is the same, and so may be the time to the second.
      [](const std::string& path) {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file << "X";
      },
      [](const std::string& path) { REQUIRE(::unlink(path.c_str()) == 0); }};
  for (const auto& change_file : changes) {
    const Tree tree;
    const auto meanwhile = [&](const std::string& path) {
      if (path == "data/dir/b.bin") change_file(tree / "dir/b.bin");
    };
    const std::string error = check(rules_for(tree), tree.tar(), meanwhile).error;
    CHECK_MESSAGE(contains(error, "/srv/data/dir/b.bin: changed on this host while it was read"),
                  error);
  }
}

TEST_CASE("tar against walk: live, what changed since the start is counted and not refused") {
  const Tree tree;
  ArchiveRules rules = rules_for(tree);
  rules.live = true;
  rules.started = now();
  std::vector<TarEntry> tar = tree.tar();
  named(tar, "data/a.txt").size = 3;
  std::erase_if(tar, [](const TarEntry& one) { return one.path == "data/zero"; });
  TarEntry gone = tar.back();
  gone.path = "data/was-there";
  tar.push_back(gone);
  const Checked checked = check(rules, tar);
  CHECK(checked.error == "");
  CHECK(checked.counts.changed == 3);
  CHECK(checked.counts.first_changed == "/srv/data/a.txt");
  CHECK(found_json(checked.counts)["changed_while_read"] == 3);
  REQUIRE(archive_warnings("/srv/data", checked.counts).size() == 1);
  CHECK(contains(archive_warnings("/srv/data", checked.counts).front(),
                 "3 entries changed while they were read, the first /srv/data/a.txt"));
  // A difference is refused in what has not changed since long before the start.
  rules.started = now() + std::chrono::hours(1);
  CHECK(check(rules, tar).error != "");
}

TEST_CASE("tar against walk: extended attributes and capabilities") {
  const Tree tree;
  const std::string path = tree / "a.txt";
  const bool user = ::setxattr(path.c_str(), "user.note", "x", 1, 0) == 0;
  const Checked checked = check(rules_for(tree), tree.tar());
  CHECK(checked.error == "");
  // a.txt has two names. Where the filesystem has no such attributes, none may be counted.
  CHECK(checked.counts.user_xattrs == (user ? 2 : 0));
  CHECK(archive_warnings("/srv/data", checked.counts).size() == (user ? 1 : 0));

  // cap_net_raw+ep, as vfs_cap_data version 2 has it (linux/capability.h).
  const std::string value(
      "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
      "\x00\x00\x00",
      20);
  const std::string bin = tree / "dir/b.bin";
  const bool capability =
      ::setxattr(bin.c_str(), "security.capability", value.data(), value.size(), 0) == 0;
  std::vector<TarEntry> tar = tree.tar();
  CHECK(contains(check(rules_for(tree), tar).error,
                 "/srv/data/dir/b.bin: other file capabilities") == capability);
  if (capability) named(tar, "data/dir/b.bin").xattrs["security.capability"] = value;
  CHECK(check(rules_for(tree), tar).error == "");
}

TEST_CASE("tar against walk: a sparse file is expanded in the tar, and is counted") {
  const Tree tree;
  tree.file("sparse", "");
  REQUIRE(::truncate((tree / "sparse").c_str(), 1 << 20) == 0);
  struct stat status {};
  REQUIRE(::stat((tree / "sparse").c_str(), &status) == 0);
  const bool has_holes = status.st_blocks * 512 < (1 << 20) - 4096;
  CHECK(check(rules_for(tree), tree.tar()).counts.sparse == (has_holes ? 1 : 0));
}

namespace {

// Asks for the content of one file, and records what it was told.
class OneFile : public FileCheck {
 public:
  explicit OneFile(std::string wanted) : wanted_(std::move(wanted)) {}
  bool entry(const std::string& below, const TarEntry&) override {
    seen.push_back(below);
    return below == wanted_;
  }
  void data(const Chunk& chunk) override {
    content += chunk.text();
    if (content.find("broken") != content.npos) {
      throw Error(ErrorKind::artifact, "it is not whole");
    }
  }
  void file_end() override {
    ++ended;
    if (content.find("short") != content.npos) throw Error(ErrorKind::artifact, "it ends early");
  }
  void finish() override {
    ++finished;
    if (ended == 0) throw Error(ErrorKind::capture, "holds no " + wanted_);
  }
  void add_found(Json&) const override {}
  std::vector<std::string> warnings() const override { return {}; }
  std::string hint() const override { return "write it again"; }

  std::vector<std::string> seen;
  std::string content;
  int ended = 0, finished = 0;

 private:
  std::string wanted_;
};

}  // namespace

TEST_CASE(
    "tar against walk: a content check is told of every entry, and given one file's content") {
  const Tree tree;
  tree.file("wanted", "12345678");
  const auto pass = [&](FileCheck& files, const std::string& content, bool to_the_end = true) {
    ArchiveCheck checker(rules_for(tree), &files);
    for (const TarEntry& entry : tree.tar()) {
      REQUIRE(checker.entry(entry));
      // In two chunks, and other files have content as well.
      if (entry.path == "data/wanted") {
        checker.data(Chunk::copy_of(content.substr(0, 4)));
        checker.data(Chunk::copy_of(content.substr(4)));
      } else if (entry.type == TarType::file) {
        checker.data(Chunk::copy_of("of another file"));
      }
      checker.entry_end();
    }
    if (to_the_end) checker.finish();
  };
  const auto error_of = [&](FileCheck& files, const std::string& content) {
    try {
      pass(files, content);
    } catch (const Error& error) {
      return fmt::format("{} | {} | {}", static_cast<int>(error.kind()), error.what(),
                         error.hint());
    }
    return std::string();
  };

  SUBCASE("all is well") {
    OneFile files("wanted");
    pass(files, "12345678");
    CHECK(files.content == "12345678");
    CHECK(files.ended == 1);
    CHECK(files.finished == 1);
    CHECK(files.seen.size() == tree.tar().size());
    CHECK(std::ranges::count(files.seen, "wanted") == 1);
    CHECK(std::ranges::count(files.seen, "dir/b.bin") == 1);
  }
  SUBCASE("the check's error is thrown with the file's name and its hint") {
    const std::string kind = std::to_string(static_cast<int>(ErrorKind::artifact));
    for (const std::string content : {"1 broken", "1  short"}) {
      OneFile files("wanted");
      const std::string error = error_of(files, content);
      CHECK(error.starts_with(kind + " | "));
      CHECK(contains(error, "/srv/data/wanted"));
      CHECK(error.ends_with("| write it again"));
      CHECK(files.finished == 0);
    }
  }
  SUBCASE("missing content is found at the end") {
    OneFile files("other");
    CHECK(contains(error_of(files, "12345678"), "holds no other"));
    CHECK(files.content == "");
  }
}

TEST_CASE("walk: it is depth first, names by byte, and follows its rules") {
  const Tree tree;
  tree.file("dir-2", "");  // '-' sorts before '/', which a sort of whole paths would get wrong
  const auto walk = [&](HostWalk::Predicate skip, HostWalk::Predicate shallow) {
    HostWalk host(tree.root() + "///", std::move(skip), std::move(shallow));
    std::vector<std::string> paths;
    while (const auto entry = host.next()) paths.push_back(entry->path);
    return join(paths, " ");
  };
  const auto none = [](const std::string&) { return false; };
  const auto dir = [](const std::string& path) { return path == "dir"; };
  CHECK(walk(none, none) == " a.txt dir dir/b.bin dir/hard dir/soft dir-2 pipe zero");
  CHECK(walk(dir, none) == " a.txt dir-2 pipe zero");
  CHECK(walk(none, dir) == " a.txt dir dir-2 pipe zero");
  HostWalk missing(tree / "gone", none, none);
  CHECK_THROWS_AS(missing.next(), Error);
}

TEST_CASE("walk: a link in the place of the tree is not followed") {
  const Tree tree;
  fs::create_directory_symlink(tree / "dir", tree / "way");
  HostWalk walk(
      tree / "way", [](const std::string&) { return false; },
      [](const std::string&) { return false; });
  const auto first = walk.next();
  REQUIRE(first.has_value());
  CHECK(S_ISLNK(first->status.st_mode));
  CHECK(first->link == tree / "dir");
  CHECK_FALSE(walk.next().has_value());
}

TEST_CASE("walk: a tree is measured without an archive") {
  const Tree tree;
  // A header for each of the eight entries, and the content of the three names that are files.
  Stop stop;
  CHECK(measure(rules_for(tree), stop) == 8 * 512 + 5 + 5 + 1000);
  ArchiveRules rules = rules_for(tree);
  rules.excludes = {"/srv/data/dir"};
  CHECK(measure(rules, stop) == 4 * 512 + 5);
  rules.host_path = tree / "gone";
  CHECK_FALSE(measure(rules, stop).has_value());
  int left = 3;
  const auto partial = measure(rules_for(tree), [&] { return --left > 0; });
  REQUIRE(partial.has_value());
  CHECK_FALSE(partial->whole);
  CHECK(partial->bytes == 3 * 512 + 5);  // the root, a.txt, dir
  const auto whole = measure(rules_for(tree), [] { return true; });
  REQUIRE(whole.has_value());
  CHECK(whole->whole);
  Stop late;
  late.set_time_limit(std::chrono::seconds(0));
  CHECK_THROWS_WITH_AS(measure(rules_for(tree), late),
                       "the time limit of 0s for the whole command has passed", Error);
  // Measuring may take minutes: a request to stop ends it at the next entry.
  stop.request(SIGTERM);
  try {
    measure(rules_for(tree), stop);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::terminated);
  }
}

TEST_CASE("tar against walk: every count that a manifest has is described") {
  ArchiveCounts counts;
  counts.changed = 1;
  std::ifstream file(BBA_SOURCE_DIR "/docs/manifest.md");
  const std::string described{std::istreambuf_iterator<char>(file), {}};
  const Json found = found_json(counts);
  for (const auto& one : {found, found.at("not_carried")}) {
    for (const auto& [key, value] : one.items()) {
      CHECK_MESSAGE(described.find('`' + key + '`') != described.npos, key);
    }
  }
}
