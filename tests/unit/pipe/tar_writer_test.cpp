#include "bba/pipe/tar.hpp"
#include "unit/pipe/tar_blocks.hpp"

namespace bba::pipe {
namespace {

using test::Visitor;

void write_entry(TarWriter& writer, TarEntry entry, std::string_view content = {}) {
  entry.size = content.size();
  writer.begin(entry);
  writer.data(as_bytes(content));
  writer.end();
}

const std::string long_path = "objects/" + std::string(300, 'd') + "/" + std::string(200, 'f');

struct Sample {
  TarEntry entry;
  std::string content;
};

std::vector<Sample> samples() {
  return {
      {{.path = "dir",
        .type = TarType::directory,
        .mode = 01755,
        .uid = 1,
        .gid = 2,
        .mtime = 1000},
       ""},
      {{.path = "dir/file", .mode = 04644, .mtime = 1'700'000'000}, "content"},
      {{.path = "dir/empty", .uid = 3'000'000, .gid = 4'000'000'000, .mtime = -5}, ""},
      {{.path = long_path, .mode = 0600, .mtime = 1LL << 40}, test::random_bytes(600'000, 1)},
      {{.path = "\xC3\xBC \xFF\nx", .mode = 0600}, "odd name"},
      {{.path = "hard", .type = TarType::hard_link, .mode = 04644, .mtime = 7, .link = "dir/file"},
       ""},
      {{.path = "soft", .type = TarType::symlink, .mode = 0777, .link = std::string(200, 'l')}, ""},
      {{.path = "soft2", .type = TarType::symlink, .mode = 0777, .link = "\xFF/\xC3\xBC"}, ""},
      {{.path = "fifo", .type = TarType::fifo, .mode = 0600}, ""},
      {{.path = "c",
        .type = TarType::character_device,
        .mode = 0600,
        .dev_major = 5,
        .dev_minor = 300},
       ""},
      {{.path = "b",
        .type = TarType::block_device,
        .mode = 0600,
        .dev_major = 8,
        .dev_minor = 1 << 19},
       ""},
      {{.path = "cap",
        .mode = 0755,
        .xattrs = {{"security.capability", std::string("\1\0\0\2", 4)}, {"user.note", "hello"}}},
       "x"},
  };
}

std::string sample_tar() {
  test::Collector next;
  TarWriter writer(next);
  for (const Sample& sample : samples()) write_entry(writer, sample.entry, sample.content);
  writer.finish();
  CHECK_FALSE(next.finished);
  return next.text;
}

TEST_CASE("The reader reads back what the writer wrote, field by field") {
  const std::vector<Sample> expected = samples();
  const Visitor seen = test::read_tar(sample_tar(), 1000);
  REQUIRE(seen.entries.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const TarEntry& wanted = expected[i].entry;
    const TarEntry& found = seen.entries[i];
    INFO("entry ", wanted.path);
    CHECK(found.path == wanted.path);
    CHECK(found.type == wanted.type);
    CHECK(found.size == expected[i].content.size());
    CHECK(found.mode == wanted.mode);
    CHECK(found.uid == wanted.uid);
    CHECK(found.gid == wanted.gid);
    CHECK(found.mtime == wanted.mtime);
    CHECK(found.link == wanted.link);
    CHECK(found.dev_major == wanted.dev_major);
    CHECK(found.dev_minor == wanted.dev_minor);
    CHECK(found.xattrs == wanted.xattrs);
    CHECK((seen.contents[i] == expected[i].content));
  }
}

TEST_CASE("GNU tar reads what the writer wrote") {
  const std::string tar = sample_tar();
  const test::Ran list =
      test::run("LC_ALL=C tar --numeric-owner --quoting-style=escape -tvf -", tar);
  CHECK(list.status == 0);
  for (const std::string line : {"drwxr-xr-t 1/2 ", "-rwSr--r-- 0/0 ", "3000000/4000000000 ",
                                 "dir/empty", "hard link to dir/file", " -> llll", " 5,300 ",
                                 " 8,524288 ", "prw------- ", "\\303\\274 \\377\\nx"}) {
    INFO(line);
    CHECK(test::contains(list.output, line));
  }
  CHECK(test::contains(list.output, long_path));
  CHECK(
      (test::run("tar -xOf - '" + long_path + "'", tar).output == test::random_bytes(600'000, 1)));
}

TEST_CASE("Python's tarfile reads what the writer wrote") {
  if (!test::has_program("/usr/bin/python3")) return;
  const test::Ran list = test::run(
      "/usr/bin/python3 -c \"import sys, tarfile; "
      "print(len([m for m in tarfile.open(fileobj=sys.stdin.buffer, mode='r|')]))\"",
      sample_tar());
  CHECK(list.output == "12\n");
}

TEST_CASE("bsdtar reads what the writer wrote") {
  if (!test::has_program("bsdtar")) return;
  const test::Ran list = test::run("bsdtar -tvf -", sample_tar());
  CHECK(list.status == 0);
  CHECK(list.errors.empty());
  CHECK(test::contains(list.output, "hard link to dir/file"));
}

TEST_CASE("An empty tar is two zero blocks") {
  test::Collector next;
  TarWriter writer(next);
  writer.finish();
  CHECK(next.text == test::end_blocks);
}

TEST_CASE("More or fewer bytes than announced are errors that name the entry") {
  test::Collector next;
  TarWriter more(next);
  more.begin({.path = "bucket/key", .size = 3});
  more.data(as_bytes("ab"));
  CHECK(test::error_of([&] { more.data(as_bytes("cd")); }, ErrorKind::capture) ==
        "bucket/key: more than the 3 bytes that were announced");

  TarWriter fewer(next);
  fewer.begin({.path = "bucket/key", .size = 3});
  fewer.data(as_bytes("ab"));
  CHECK(test::error_of([&] { fewer.end(); }, ErrorKind::capture) ==
        "bucket/key: 1 of the 3 bytes that were announced are missing");

  TarWriter directory(next);
  CHECK(
      test::error_of([&] { directory.begin({.path = "d", .type = TarType::directory, .size = 1}); },
                     ErrorKind::capture) == "d: only a file has content");
}

TEST_CASE("Names that a tar cannot hold are refused") {
  test::Collector next;
  TarWriter writer(next);
  const auto error = [&](const TarEntry& entry) {
    return test::error_of([&] { writer.begin(entry); }, ErrorKind::capture);
  };
  CHECK(error({.path = ""}) == "a tar cannot hold the name ''");
  CHECK(error({.path = std::string("a\0b", 3)}) == "a tar cannot hold the name 'a\\x00b'");
  CHECK(error({.path = "s", .type = TarType::symlink}) == "a tar cannot hold a link to ''");
  CHECK(error({.path = "h", .type = TarType::hard_link, .link = std::string("a\0", 2)}) ==
        "a tar cannot hold a link to 'a\\x00'");
}

TEST_CASE("A writer that is abandoned leaves no tar that looks complete") {
  test::Collector next;
  {
    TarWriter writer(next);
    write_entry(writer, {.path = "f"}, test::random_bytes(600'000, 2));
  }
  CHECK(next.text.size() > 0);
  CHECK_FALSE(test::tar_error(next.text).empty());
}

TEST_CASE("The next stage's error comes through libarchive") {
  for (const std::size_t good_writes : {0U, 1U, 2U}) {
    test::FailingStage next(good_writes);
    TarWriter writer(next);
    CHECK(test::error_of(
              [&] { write_entry(writer, {.path = "f"}, test::random_bytes(2'000'000, 3)); },
              ErrorKind::storage) == "the disk is full");
  }
  test::FailingStage next(0);
  TarWriter writer(next);
  CHECK(test::error_of([&] { writer.finish(); }, ErrorKind::storage) == "the disk is full");
}

}  // namespace
}  // namespace bba::pipe
