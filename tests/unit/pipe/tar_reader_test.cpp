#include <algorithm>

#include "bba/pipe/tar.hpp"
#include "unit/pipe/tar_blocks.hpp"

namespace bba::pipe {
namespace {

using test::end_blocks;
using test::file_entry;
using test::header_block;
using test::octal;
using test::pax_header;
using test::pax_record;
using test::read_tar;
using test::tar_error;
using test::Visitor;

// A tar with every kind of header that the reader takes.
std::string sample() {
  const std::string long_name = "deep/" + std::string(200, 'n') + "/file";
  return header_block({.name = "data/", .type = '5', .mode = octal(01777, 8)}) +
         file_entry("data/one", "content of one") + file_entry("data/empty", "") +
         file_entry("data/block", std::string(512, 'b')) +
         pax_header(pax_record("path", long_name) + pax_record("mtime", "1.5") +
                    pax_record("SCHILY.xattr.security.capability", std::string("\1\0\0", 3))) +
         file_entry("deep/nnn", test::random_bytes(1300, 1)) +
         file_entry("././@LongLink", std::string(300, 'g') + '\0', 'L') +
         file_entry("././@LongLink", std::string(400, 'k') + '\0', 'K') +
         header_block({.name = "ggg", .type = '2', .link = "kkk"}) +
         header_block({.name = "data/hard", .type = '1', .link = "data/one"}) +
         header_block({.name = "data/c",
                       .type = '3',
                       .dev_major = octal(5, 8),
                       .dev_minor = octal(300, 8)}) +
         header_block({.name = "data/b", .type = '4', .dev_major = octal(8, 8)}) +
         header_block({.name = "data/fifo", .type = '6'}) + end_blocks;
}

void check_sample(const Visitor& seen) {
  REQUIRE(seen.entries.size() == 10);
  CHECK(seen.entries[0].path == "data");
  CHECK(seen.entries[0].type == TarType::directory);
  CHECK(seen.entries[0].mode == 01777);
  CHECK(seen.entries[1].path == "data/one");
  CHECK(seen.entries[1].size == 14);
  CHECK(seen.entries[1].offset == 512);
  CHECK(seen.contents[1] == "content of one");
  CHECK(seen.contents[2].empty());
  CHECK(seen.contents[3] == std::string(512, 'b'));
  CHECK(seen.entries[4].path == "deep/" + std::string(200, 'n') + "/file");
  CHECK(seen.entries[4].mtime == 1);
  CHECK(seen.entries[4].xattrs.at("security.capability") == std::string("\1\0\0", 3));
  CHECK(seen.entries[4].offset == 3072);  // of its pax header
  CHECK(seen.contents[4] == test::random_bytes(1300, 1));
  CHECK(seen.entries[5].path == std::string(300, 'g'));
  CHECK(seen.entries[5].link == std::string(400, 'k'));
  CHECK(seen.entries[5].type == TarType::symlink);
  CHECK(seen.entries[5].xattrs.empty());
  CHECK(seen.entries[6].type == TarType::hard_link);
  CHECK(seen.entries[6].link == "data/one");
  CHECK(seen.entries[7].type == TarType::character_device);
  CHECK(seen.entries[7].dev_major == 5);
  CHECK(seen.entries[7].dev_minor == 300);
  CHECK(seen.entries[8].type == TarType::block_device);
  CHECK(seen.entries[9].type == TarType::fifo);
  CHECK(std::all_of(seen.ended.begin(), seen.ended.end(), [](bool ended) { return ended; }));
}

TEST_CASE("A tar is read the same at every split, and passed on unchanged") {
  const std::string tar = sample();
  for (std::size_t split = 0; split <= tar.size(); ++split) {
    Visitor visitor;
    test::Collector next;
    TarReader reader(visitor, &next);
    test::feed_split(reader, tar, split);
    check_sample(visitor);
    CHECK(next.text == tar);
    CHECK(next.finished);
    CHECK(reader.entries() == 10);
  }
  for (const std::size_t step : {1U, 2U, 511U, 512U, 513U}) {
    Visitor visitor;
    test::Collector next;
    TarReader reader(visitor, &next);
    test::feed(reader, tar, step);
    check_sample(visitor);
    CHECK(next.text == tar);
  }
}

TEST_CASE("A tar cut anywhere is an error") {
  const std::string tar = sample();
  for (std::size_t size = 0; size < tar.size(); ++size) {
    CHECK_FALSE(tar_error(tar.substr(0, size)).empty());
  }
}

TEST_CASE("What is kept of a chunk is passed on as one piece of the same memory") {
  struct Pieces : Stage {
    void write(const Chunk& chunk) override { chunks.push_back(chunk); }
    void finish() override {}
    std::vector<Chunk> chunks;
  };
  const std::string tar = sample();
  const Chunk whole = Chunk::copy_of(tar);
  Pieces all;
  Visitor keep_all;
  TarReader reader(keep_all, &all);
  reader.write(whole);
  reader.finish();
  REQUIRE(all.chunks.size() == 1);
  CHECK(all.chunks[0].bytes().data() == whole.bytes().data());
  CHECK(all.chunks[0].size() == whole.size());

  Pieces some;
  Visitor filter;
  filter.left_out = {"data/empty", "data/block"};
  TarReader filtering(filter, &some);
  filtering.write(whole);
  filtering.finish();
  REQUIRE(some.chunks.size() == 2);
  CHECK(some.chunks[0].bytes().data() == whole.bytes().data());
  CHECK(some.chunks[1].bytes().data() == whole.bytes().data() + 3072);
}

TEST_CASE("Entries left out vanish with their pax and GNU headers, at every split") {
  const std::string tar = sample();
  const Visitor all = read_tar(tar);
  for (std::size_t index = 0; index < all.entries.size(); ++index) {
    const std::size_t from = all.entries[index].offset;
    const std::size_t to = index + 1 < all.entries.size() ? all.entries[index + 1].offset
                                                          : tar.size() - end_blocks.size();
    const std::string expected = tar.substr(0, from) + tar.substr(to);
    for (std::size_t split = 0; split <= tar.size(); split += 31) {
      Visitor visitor;
      visitor.left_out = {all.entries[index].path};
      test::Collector next;
      TarReader reader(visitor, &next);
      test::feed_split(reader, tar, split);
      CHECK(next.text == expected);
      CHECK(reader.entries() == 9);
      CHECK(visitor.contents[index].empty());
      CHECK_FALSE(visitor.ended[index]);
    }
  }
}

TEST_CASE("Any choice of entries, fed in any pieces, gives the tar of just those") {
  const std::string tar = sample();
  const Visitor all = read_tar(tar);
  std::mt19937_64 random(5);
  for (int round = 0; round < 1500; ++round) {
    Visitor visitor;
    std::string expected;
    for (std::size_t i = 0; i < all.entries.size(); ++i) {
      const std::size_t from = all.entries[i].offset;
      const std::size_t to =
          i + 1 < all.entries.size() ? all.entries[i + 1].offset : tar.size() - end_blocks.size();
      if (random() % 2 == 0) {
        visitor.left_out.insert(all.entries[i].path);
      } else {
        expected += tar.substr(from, to - from);
      }
    }
    test::Collector next;
    TarReader reader(visitor, &next);
    std::size_t at = 0;
    while (at < tar.size()) {
      const std::size_t size = random() % (random() % 4 == 0 ? 3000 : 600);
      reader.write(Chunk::copy_of(std::string_view(tar).substr(at, size)));
      at += size;
    }
    reader.finish();
    CHECK(next.text == expected + end_blocks);
  }
}

TEST_CASE("A real archive of a Docker Engine is read") {
  const std::string tar = test::fixture("tar/docker-20.10-archive.tar");
  for (const std::size_t step : {1U, 700U, 1'000'000U}) {
    const Visitor seen = read_tar(tar, step);
    std::map<std::string, TarEntry> by_path;
    for (const TarEntry& entry : seen.entries) by_path[entry.path] = entry;
    CHECK(seen.entries.size() == by_path.size());
    CHECK(by_path.size() == 24);
    CHECK(by_path.at("data").type == TarType::directory);
    CHECK(by_path.at("data/dir").mode == 01777);
    CHECK(by_path.at("data/empty").uid == 70000);
    CHECK(by_path.at("data/empty").gid == 3000000);
    CHECK(by_path.at("data/empty").mtime == -157766400);
    CHECK(by_path.at("data/plain").type == TarType::hard_link);
    CHECK(by_path.at("data/plain").link == "data/hard");
    CHECK(by_path.at("data/hard").mode == 04755);
    CHECK(by_path.at("data/hard").mtime == 1612325106);
    CHECK(by_path.at("data/five-thousand").size == 5000);
    CHECK(by_path.at("data/soft").link == "plain");
    CHECK(by_path.at("data/soft-long").link.size() == 150);
    CHECK(by_path.at("data/pipe").type == TarType::fifo);
    CHECK(by_path.at("data/char").dev_minor == 300);
    CHECK(by_path.at("data/block-device").dev_minor == 70000);
    CHECK(by_path.contains("data/dir/with space/a\nnewline"));
    CHECK(
        by_path.contains("data/dir/\xC3\xBCn\xC3\xAF"
                         "code"));
    CHECK(by_path.contains("data/dir/bad\xFFutf8"));
    const std::string deep(std::string(89, '0') + "1");
    CHECK(by_path.at("data/deep/" + deep + "/" + deep + "/" + deep + "/file").size == 5);
    CHECK(by_path.at("data/cap").xattrs.contains("security.capability"));
  }
  for (std::size_t size = 0; size < tar.size(); size += 128) {
    CHECK_FALSE(tar_error(tar.substr(0, size)).empty());
  }
}

// tar -cf, with names that need each kind of header.
void make_tree(const test::TempDir& dir) {
  const test::Ran made =
      test::run("cd '" + dir.path() + R"sh(' && mkdir -p tree/"$(printf '%0120d' 1)" &&
    printf hello > tree/plain && ln tree/plain tree/hard && ln -s plain tree/soft &&
    ln -s "$(printf '%0150d' 2)" tree/longsoft && mkfifo tree/fifo && chmod 2750 tree/plain &&
    head -c 700 /dev/zero > tree/"$(printf '%0120d' 1)"/file && : > "tree/new
line" && : > "$(printf 'tree/\377\303\274')" && touch -d @-5 tree/fifo)sh");
  REQUIRE(made.status == 0);
}

void check_tree(const std::string& tar) {
  const Visitor seen = read_tar(tar, 700);
  std::map<std::string, TarEntry> by_path;
  for (const TarEntry& entry : seen.entries) by_path[entry.path] = entry;
  CHECK(by_path.size() == 10);
  CHECK(by_path.at("tree").type == TarType::directory);
  const bool plain_first = by_path.at("tree/plain").type == TarType::file;
  CHECK(by_path.at(plain_first ? "tree/plain" : "tree/hard").size == 5);
  CHECK(by_path.at(plain_first ? "tree/hard" : "tree/plain").link ==
        (plain_first ? "tree/plain" : "tree/hard"));
  CHECK(by_path.at("tree/plain").mode == 02750);
  CHECK(by_path.at("tree/soft").link == "plain");
  CHECK(by_path.at("tree/longsoft").link.size() == 150);
  CHECK(by_path.at("tree/fifo").type == TarType::fifo);
  CHECK(by_path.at("tree/fifo").mtime == -5);
  CHECK(by_path.at("tree/" + std::string(119, '0') + "1/file").size == 700);
  CHECK(by_path.contains("tree/new\nline"));
  CHECK(by_path.contains("tree/\xFF\xC3\xBC"));
}

TEST_CASE("Tars of GNU tar are read, in its own format and in pax") {
  const test::TempDir dir;
  make_tree(dir);
  for (const std::string options : {"--format=gnu", "--format=posix", "--format=gnu -b 2048"}) {
    const test::Ran made = test::run("tar -C '" + dir.path() + "' -c " + options + " -f - tree");
    REQUIRE(made.status == 0);
    check_tree(made.output);
  }
}

TEST_CASE("Tars of Python's tarfile are read") {
  if (!test::has_program("/usr/bin/python3")) return;
  const test::TempDir dir;
  make_tree(dir);
  for (const std::string format : {"GNU_FORMAT", "PAX_FORMAT"}) {
    const test::Ran made =
        test::run("cd '" + dir.path() +
                  "' && /usr/bin/python3 -c \"import sys, tarfile; "
                  "tar = tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile." +
                  format + "); tar.add('tree'); tar.close()\"");
    REQUIRE(made.status == 0);
    check_tree(made.output);
  }
}

TEST_CASE("Tars of bsdtar are read") {
  if (!test::has_program("bsdtar")) return;
  const test::TempDir dir;
  make_tree(dir);
  const test::Ran made = test::run("bsdtar -C '" + dir.path() + "' -c --format=pax -f - tree");
  REQUIRE(made.status == 0);
  check_tree(made.output);
}

TEST_CASE("A tar ends with two zero blocks, then zeros up to a record's size, in whole blocks") {
  const std::string file = file_entry("f", "x");
  CHECK(tar_error(file + end_blocks).empty());
  CHECK(tar_error(file + std::string(1536, '\0')).empty());
  CHECK(tar_error(file + std::string(1024 * 1024, '\0')).empty());
  CHECK(tar_error(file) ==
        "tar: at byte 1024: cut between two entries: the two zero blocks at the end are missing");
  CHECK(tar_error(file + std::string(512, '\0')) ==
        "tar: cut inside the two zero blocks of the end at byte 1536");
  CHECK(tar_error(file + std::string(1023, '\0')) ==
        "tar: cut inside the two zero blocks of the end at byte 2047");
  CHECK(tar_error(file + std::string(1025, '\0')) ==
        "tar: at byte 2049: the length is not a multiple of 512");
  CHECK(tar_error(file + std::string(1024 * 1024 + 512, '\0')) ==
        "tar: at byte 1050112: more than 1048576 zeros at the end: too many for padding");
  CHECK(tar_error(file + end_blocks + "x" + std::string(511, '\0')) ==
        "tar: at byte 2048: trailing data after the end");
  CHECK(tar_error(file + end_blocks + std::string(511, '\0') + "x") ==
        "tar: at byte 2559: trailing data after the end");
  CHECK(tar_error(file + std::string(512, '\0') + file + end_blocks) ==
        "tar: at byte 1536: data after a single zero block, where a second should be");
  CHECK(tar_error(file + end_blocks + file + end_blocks) ==
        "tar: at byte 2048: trailing data after the end");
  CHECK(tar_error(file + end_blocks + "{\"message\":\"it broke\"}") ==
        "tar: at byte 2048: trailing data after the end");
}

TEST_CASE("Only zeros are an empty tar up to a writer's padding, and lost content beyond it") {
  CHECK(read_tar(end_blocks).entries.empty());
  CHECK(tar_error(std::string(10240, '\0')).empty());
  CHECK(tar_error(std::string(1024 * 1024, '\0')).empty());
  CHECK_FALSE(tar_error(std::string(1024 * 1024 + 512, '\0')).empty());
  CHECK_FALSE(tar_error(std::string(512, '\0')).empty());
  CHECK(tar_error("") ==
        "tar: at byte 0: cut between two entries: the two zero blocks at the end are missing");
}

TEST_CASE("The error of a cut names the entry, the offset and what is missing") {
  const std::string tar = file_entry("data/big.bin", std::string(5000, 'x')) + end_blocks;
  CHECK(tar_error(tar.substr(0, 1234)) ==
        "tar: cut inside data/big.bin at byte 1234: 4278 of its 5000 bytes are missing");
  CHECK(tar_error(tar.substr(0, 5520)) ==
        "tar: cut inside the padding of data/big.bin at byte 5520");
  CHECK(tar_error(tar.substr(0, 100)) == "tar: cut inside a header at byte 100");
  const std::string pax = pax_header(pax_record("path", "p"));
  CHECK(tar_error(pax.substr(0, 515)) == "tar: cut inside a pax or GNU header at byte 515");
  CHECK(tar_error(pax.substr(0, 600)) ==
        "tar: cut inside the padding of a pax or GNU header at byte 600");
  CHECK(tar_error(pax) == "tar: at byte 1024: cut between a pax or GNU header and its entry");
  CHECK(tar_error(pax + end_blocks) ==
        "tar: at byte 1024: the end, where the entry of a pax or GNU header should be");
}

TEST_CASE("Trailing JSON inside a tar, in place of a header or of content, is an error") {
  const std::string message = "{\"message\":\"Error: it broke\"}\n";
  const std::string file = file_entry("f", std::string(600, 'x'));
  CHECK(tar_error(file + message) == "tar: cut inside a header at byte 1566");
  CHECK(tar_error(file + test::padded(message) + end_blocks)
            .starts_with("tar: at byte 1536: the header's checksum"));
  CHECK(tar_error(file.substr(0, 800) + message).starts_with("tar: cut inside f at byte 830"));
  CHECK(tar_error(file.substr(0, 1512) + message)
            .starts_with("tar: at byte 1512: more than zeros after"));
}

TEST_CASE("A header whose checksum is wrong names its offset") {
  std::string tar = file_entry("a", "x") + file_entry("b", "y") + end_blocks;
  tar[1024] = 'B';
  CHECK(tar_error(tar) == "tar: at byte 1024: the header's checksum is wrong");
}

TEST_CASE("Content that is longer than announced, and padding that is not zero, are errors") {
  std::string tar = file_entry("grown", "12345") + end_blocks;
  tar[512 + 5] = '6';
  CHECK(tar_error(tar) == "tar: at byte 517: more than zeros after the content of grown");
}

TEST_CASE("Impossible sizes are refused without allocating memory for them") {
  const std::string huge = header_block({.name = "huge", .size = test::base256(1LL << 62, 12)});
  CHECK(tar_error(huge + end_blocks) ==
        "tar: cut inside huge at byte 1536: 4611686018427386880 of its 4611686018427387904 bytes "
        "are missing");
  CHECK(
      tar_error(header_block({.name = "most",
                              .size = test::base256(std::numeric_limits<std::int64_t>::max(), 12)}))
          .starts_with("tar: cut inside most at byte 512"));
  CHECK(tar_error(header_block({.name = "x", .type = 'x', .size = test::base256(1LL << 40, 12)})) ==
        "tar: at byte 0: 1099511627776 bytes of pax or GNU headers before one entry");
  CHECK(tar_error(header_block({.name = "L", .type = 'L', .size = octal(1024 * 1024 + 1, 12)})) ==
        "tar: at byte 0: 1048577 bytes of pax or GNU headers before one entry");
  const std::string half(1024 * 1024, 'n');
  CHECK(tar_error(file_entry("L", half, 'L') + file_entry("K", "n", 'K'))
            .ends_with("1048577 bytes of pax or GNU headers before one entry"));
  CHECK(read_tar(file_entry("L", half, 'L') + file_entry("f", "x") + end_blocks).entries[0].path ==
        half);
}

TEST_CASE("Files of more than 8 GiB are read") {
  // A stage that counts, given the same chunk again and again.
  struct Counter : TarVisitor {
    bool entry(const TarEntry& entry) override {
      size = entry.size;
      return true;
    }
    void data(const Chunk& chunk) override { seen += chunk.size(); }
    void entry_end() override { ended = true; }
    std::uint64_t size = 0, seen = 0;
    bool ended = false;
  };
  constexpr std::uint64_t size = (9ULL << 30) + 1;
  for (const std::string& header :
       {header_block({.name = "big", .size = test::base256(size, 12)}),
        pax_header(pax_record("size", std::to_string(size))) + header_block({.name = "big"})}) {
    Counter counter;
    TarReader reader(counter, nullptr);
    reader.write(Chunk::copy_of(header));
    const Chunk chunk = Chunk::copy_of(std::string(1 << 20, 'x'));
    for (std::uint64_t left = size; left > 0;) {
      const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(left, chunk.size()));
      reader.write(chunk.sub(0, piece));
      left -= piece;
    }
    CHECK_FALSE(counter.ended);
    reader.write(Chunk::copy_of(std::string(511, '\0')));
    CHECK(counter.ended);
    reader.write(Chunk::copy_of(end_blocks));
    reader.finish();
    CHECK(counter.size == size);
    CHECK(counter.seen == size);
  }
}

TEST_CASE("Types: which have content, whatever their size field says") {
  const std::string claims = octal(600, 12);
  for (const char type : {'2', '3', '4', '5', '6'}) {
    const Visitor seen =
        read_tar(header_block({.name = "n", .type = type, .size = claims, .link = "l"}) +
                 file_entry("next", "x") + end_blocks);
    REQUIRE(seen.entries.size() == 2);
    CHECK(seen.entries[0].size == 0);
    CHECK(seen.entries[0].link == (type == '2' ? "l" : ""));
  }
  CHECK(tar_error(header_block({.name = "n", .type = '1', .size = claims, .link = "l"}) +
                  end_blocks) == "tar: at byte 0: n: a hard link that claims to have content");
  for (const char type : {'0', '7', '\0'}) {
    const Visitor seen = read_tar(file_entry("n", "content", type) + end_blocks);
    CHECK(seen.entries[0].type == TarType::file);
    CHECK(seen.contents[0] == "content");
  }
  for (const char type : {'0', '\0'}) {
    const Visitor seen = read_tar(file_entry("dir//", "", type) + end_blocks);
    CHECK(seen.entries[0].type == TarType::directory);
    CHECK(seen.entries[0].path == "dir");
    CHECK(tar_error(file_entry("dir/", "x", type) + end_blocks) ==
          "tar: at byte 0: dir: a directory that has content");
  }
  for (const char type : {'S', 'M', 'V', 'D', 'N', 'A', 'X', '8', '\x01', '\xFF'}) {
    CHECK(test::contains(tar_error(header_block({.name = "n", .type = type}) + end_blocks),
                         "is not known"));
  }
  for (const char type : {'1', '2'}) {
    CHECK(tar_error(header_block({.name = "n", .type = type}) + end_blocks) ==
          "tar: at byte 0: n: a link to nowhere");
  }
}

TEST_CASE("Names: an empty one is refused, slashes alone are read, long ones are cut in errors") {
  CHECK(tar_error(header_block({.name = ""}) + end_blocks) == "tar: at byte 0: : it has no name");
  CHECK(read_tar(header_block({.name = "/", .type = '5'}) + end_blocks).entries[0].path == "/");
  CHECK(read_tar(header_block({.name = "./", .type = '5'}) + end_blocks).entries[0].path == ".");
  const std::string long_name(1000, 'n');
  CHECK(tar_error(pax_header(pax_record("path", long_name)) +
                  file_entry("n", "xyz").substr(0, 513)) ==
        "tar: cut inside " + std::string(300, 'n') +
            "... at byte 2049: 2 of its 3 bytes are missing");
}

TEST_CASE("pax and GNU headers that contradict each other, repeat or are empty are refused") {
  const std::string pax = pax_header(pax_record("path", "p"));
  const std::string name = file_entry("L", "gnu", 'L');
  const std::string file = file_entry("f", "x") + end_blocks;
  CHECK(test::contains(tar_error(pax + pax + file), "cannot follow"));
  CHECK(test::contains(tar_error(name + name + file), "cannot follow"));
  CHECK(test::contains(tar_error(pax + file_entry("g", pax_record("comment", "c"), 'g') + file),
                       "cannot follow"));
  CHECK(tar_error(pax + name + file) ==
        "tar: at byte 2048: f: it is named by a GNU and by a pax header");
  CHECK(tar_error(file_entry("x", "", 'x') + file) ==
        "tar: at byte 0: a pax or GNU header without content");
  CHECK(tar_error(pax_header("broken") + file) == "tar: before byte 1024: a pax record is broken");
  CHECK(tar_error(pax_header(pax_record("size", "x")) + file) ==
        "tar: at byte 1024: f: its pax record size is not a number that fits");
  CHECK(read_tar(file_entry("K", "to", 'K') + pax + header_block({.name = "n", .type = '2'}) +
                 end_blocks)
            .entries[0]
            .link == "to");
}

TEST_CASE("Global pax headers may hold comments, and stay in place; they may not change entries") {
  const std::string comment = file_entry("pax_global_header", pax_record("comment", "abc"), 'g');
  const std::string tar =
      comment + file_entry("f", "x") + comment + file_entry("g", "y") + end_blocks;
  Visitor visitor;
  visitor.left_out = {"f", "g"};
  test::Collector next;
  TarReader reader(visitor, &next);
  test::feed(reader, tar, 100);
  CHECK(next.text == comment + comment + end_blocks);
  CHECK(visitor.entries[0].offset == 1024);
  CHECK(tar_error(file_entry("g", pax_record("path", "all"), 'g') + tar) ==
        "tar: before byte 1024: a global pax header sets path for all entries");
}

TEST_CASE("Errors of the visitor and of the next stage come through") {
  struct Refusing : Visitor {
    bool entry(const TarEntry&) override { throw Error(ErrorKind::capture, "not wanted"); }
  } refusing;
  TarReader reader(refusing, nullptr);
  CHECK(test::error_of([&] { test::feed(reader, sample(), 512); }, ErrorKind::capture) ==
        "not wanted");
  Visitor visitor;
  test::FailingStage full(3);
  TarReader passing(visitor, &full);
  CHECK(test::error_of([&] { test::feed(passing, sample(), 512); }, ErrorKind::storage) ==
        "the disk is full");
}

// Accepted input must be consistent: every entry ended, and what was passed on reads the same
// again.
TEST_CASE("Mutated tars are refused or consistent") {
  std::mt19937_64 random(11);
  std::size_t refused = 0;
  for (const std::string& tar : {sample(), test::fixture("tar/docker-20.10-archive.tar")}) {
    for (int i = 0; i < 3000; ++i) {
      std::string broken = test::mutated(tar, random);
      if (random() % 2 == 0) {
        // Repair the checksum, so that the damaged fields behind it are parsed.
        const std::size_t block = random() % (std::max<std::size_t>(broken.size() / 512, 1));
        if ((block + 1) * 512 <= broken.size()) {
          std::string header = broken.substr(block * 512, 512);
          header[random() % 512] = static_cast<char>(random());
          broken.replace(block * 512, 512, test::with_checksum(header));
        }
      }
      Visitor visitor;
      test::Collector next;
      TarReader reader(visitor, &next);
      if (!test::error_of([&] { test::feed(reader, broken, 1 + random() % 3000); }).empty()) {
        ++refused;
        continue;
      }
      CHECK(std::all_of(visitor.ended.begin(), visitor.ended.end(),
                        [](bool ended) { return ended; }));
      CHECK(next.text == broken);
      CHECK(read_tar(next.text).entries.size() == visitor.entries.size());
    }
  }
  CHECK(refused > 3000);
}

}  // namespace
}  // namespace bba::pipe
