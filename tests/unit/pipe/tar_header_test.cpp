#include "pipe/tar_header.hpp"

#include "unit/pipe/tar_blocks.hpp"

namespace bba::pipe {
namespace {

using test::base256;
using test::header_block;
using test::HeaderFields;
using test::octal;
using test::pax_record;

TarHeader parse(const std::string& block) {
  return parse_tar_header(TarBlock(as_bytes(block).first<tar_block>()));
}
std::string parse_error(const std::string& block) {
  return test::error_of([&] { (void)parse(block); });
}
std::string field_error(HeaderFields fields) {
  return parse_error(header_block(fields));
}

TEST_CASE("The fields of a POSIX header are read") {
  const TarHeader header = parse(header_block({.name = "file",
                                               .type = '4',
                                               .size = octal(1234, 12),
                                               .link = "to",
                                               .mode = octal(0104755, 8),
                                               .uid = octal(1000, 8),
                                               .gid = octal(100, 8),
                                               .mtime = octal(1'700'000'000, 12),
                                               .dev_major = octal(8, 8),
                                               .dev_minor = octal(17, 8),
                                               .prefix = "a/long/way"}));
  CHECK(header.type == '4');
  CHECK(header.entry.path == "a/long/way/file");
  CHECK(header.entry.size == 1234);
  CHECK(header.entry.link == "to");
  CHECK(header.entry.mode == 04755);
  CHECK(header.entry.uid == 1000);
  CHECK(header.entry.gid == 100);
  CHECK(header.entry.mtime == 1'700'000'000);
  CHECK(header.entry.dev_major == 8);
  CHECK(header.entry.dev_minor == 17);
}

TEST_CASE("Names may fill their fields without a NUL") {
  const TarHeader header = parse(header_block({.name = std::string(100, 'n'),
                                               .link = std::string(100, 'l'),
                                               .prefix = std::string(155, 'p')}));
  CHECK(header.entry.path == std::string(155, 'p') + "/" + std::string(100, 'n'));
  CHECK(header.entry.link == std::string(100, 'l'));
}

TEST_CASE("GNU and v7 headers have no prefix, v7 ones no device numbers") {
  const std::string gnu("ustar  \0", 8);
  const std::string v7(8, '\0');
  CHECK(parse(header_block({.name = "f", .magic = gnu, .prefix = "12345"})).entry.path == "f");
  const TarHeader old =
      parse(header_block({.name = "f", .type = '3', .magic = v7, .dev_major = octal(5, 8)}));
  CHECK(old.entry.dev_major == 0);
  CHECK(field_error({.name = "f", .magic = "ustar  2"}) ==
        "the header is neither POSIX nor GNU nor v7");
}

TEST_CASE("Numbers are read in octal with blanks around, and in base-256") {
  const auto size = [](const std::string& field) {
    return parse(header_block({.name = "f", .size = field})).entry.size;
  };
  CHECK(size(octal(0, 12)) == 0);
  CHECK(size(std::string(12, '\0')) == 0);
  CHECK(size(std::string(12, ' ')) == 0);
  CHECK(size("        17 " + std::string(1, '\0')) == 15);
  CHECK(size("777777777777") == 0777777777777);
  CHECK(size(base256(9'000'000'000, 12)) == 9'000'000'000);
  CHECK(size(base256(std::numeric_limits<std::int64_t>::max(), 12)) ==
        std::numeric_limits<std::int64_t>::max());
  const auto mtime = [](const std::string& field) {
    return parse(header_block({.name = "f", .mtime = field})).entry.mtime;
  };
  CHECK(mtime(base256(-1, 12)) == -1);
  CHECK(mtime(base256(-157'766'400, 12)) == -157'766'400);
  CHECK(mtime(base256(std::numeric_limits<std::int64_t>::min(), 12)) ==
        std::numeric_limits<std::int64_t>::min());
  CHECK(parse(header_block({.name = "f", .uid = base256(3'000'000, 8)})).entry.uid == 3'000'000);
}

TEST_CASE("Impossible numbers are refused") {
  CHECK(field_error({.name = "f", .size = "12345678901x"}) == "its size is not an octal number");
  CHECK(field_error({.name = "f", .size = "0000000008 \0"}) == "its size is not an octal number");
  CHECK(field_error({.name = "f", .size = "-0000000001\0"}) == "its size is not an octal number");
  CHECK(field_error({.name = "f", .size = "12 34       "}) == "its size is not an octal number");
  CHECK(field_error({.name = "f", .size = base256(-1, 12)}) == "its size is negative");
  CHECK(field_error({.name = "f", .size = "\x81" + std::string(11, '\0')}) ==
        "its size does not fit into 64 bits");
  CHECK(field_error(
            {.name = "f", .size = "\x80" + std::string(2, '\0') + "\x01" + std::string(8, '\0')}) ==
        "its size does not fit into 64 bits");
  CHECK(field_error({.name = "f", .uid = base256(-5, 8)}) == "its uid is negative");
  CHECK(field_error({.name = "f", .gid = base256(-5, 8)}) == "its gid is negative");
  CHECK(field_error({.name = "f", .type = '3', .dev_major = base256(1LL << 32, 8)}) ==
        "its device does not fit into 32 bits");
}

// In the checksum's own field a blank can turn into another blank, and a leading 0 into one.
TEST_CASE("Any changed bit of a header breaks its checksum, or leaves everything as it was") {
  const std::string good = header_block({.name = "some/file", .size = octal(99, 12)});
  std::size_t silent = 0;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string broken = good;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
    const bool in_checksum = bit / 8 >= 148 && bit / 8 < 156;
    CHECK((in_checksum || !parse_error(broken).empty()));
    if (parse_error(broken).empty()) ++silent;
  }
  CHECK(silent < 8);
  CHECK(parse_error(good).empty());
}

TEST_CASE("Bytes above 127 count as unsigned in the checksum") {
  CHECK(parse(header_block({.name = "\xC3\xBC\xFF"})).entry.path == "\xC3\xBC\xFF");
}

TEST_CASE("Several pax records are read, with any bytes in values; the last of a keyword counts") {
  const PaxRecords records = parse_pax_records(
      pax_record("path", "first") + pax_record("comment", "a\nb=c") + pax_record("path", "second") +
      pax_record("SCHILY.xattr.user.raw", std::string("\0\n=\xFF", 4)) + pax_record("empty", ""));
  CHECK(records.size() == 4);
  CHECK(records.at("path") == "second");
  CHECK(records.at("comment") == "a\nb=c");
  CHECK(records.at("SCHILY.xattr.user.raw") == std::string("\0\n=\xFF", 4));
  CHECK(records.at("empty").empty());
}

TEST_CASE("A broken pax record is refused") {
  const std::string good = pax_record("path", "name");
  CHECK(good == "13 path=name\n");
  for (const std::string& broken :
       {std::string("12 path=name\n"), std::string("14 path=name\n"), std::string("13 path=name"),
        std::string("13 path name\n"), std::string("8 =name\n"), std::string("-13 path=name\n"),
        std::string("99999999999999999999 path=name\n"), std::string("x path=name\n"),
        std::string(" 13 path=name\n"), std::string("2 "), std::string("0 "), std::string("3\n"),
        std::string("13"), good + "x", good + std::string(3, '\0')}) {
    CHECK(test::error_of([&] { (void)parse_pax_records(broken); }) == "a pax record is broken");
  }
}

TEST_CASE("A GNU long name ends at its NUL") {
  CHECK(parse_gnu_name(std::string("name\0", 5)) == "name");
  CHECK(parse_gnu_name("name") == "name");
  CHECK(parse_gnu_name(std::string("name\0\0\0", 7)) == "name");
  CHECK(test::error_of([] { (void)parse_gnu_name(std::string("\0", 1)); }) ==
        "a GNU long name is empty");
  CHECK(test::error_of([] { (void)parse_gnu_name(std::string("a\0b\0", 4)); }) ==
        "a GNU long name continues after its NUL");
}

TarEntry applied(const std::string& records) {
  TarEntry entry{.path = "short", .size = 1, .uid = 2, .gid = 3, .mtime = 4, .link = "link"};
  apply_extensions(entry, parse_pax_records(records), std::nullopt, std::nullopt);
  return entry;
}
std::string apply_error(const std::string& records) {
  return test::error_of([&] { (void)applied(records); });
}

TEST_CASE("pax records overrule the header") {
  const TarEntry entry =
      applied(pax_record("path", "long") + pax_record("linkpath", "elsewhere") +
              pax_record("size", "8589934593") + pax_record("uid", "3000000") +
              pax_record("gid", "4000000") + pax_record("mtime", "1612325045.789") +
              pax_record("SCHILY.devmajor", "300") + pax_record("SCHILY.devminor", "70000") +
              pax_record("SCHILY.xattr.user.a", "b") + pax_record("SCHILY.xattr.user.none", "") +
              pax_record("atime", "1") + pax_record("hdrcharset", "BINARY"));
  CHECK(entry.path == "long");
  CHECK(entry.link == "elsewhere");
  CHECK(entry.size == 8589934593);
  CHECK(entry.uid == 3000000);
  CHECK(entry.gid == 4000000);
  CHECK(entry.mtime == 1612325045);
  CHECK(entry.dev_major == 300);
  CHECK(entry.dev_minor == 70000);
  CHECK(entry.xattrs == std::map<std::string, std::string>{{"user.a", "b"}, {"user.none", ""}});
}

TEST_CASE("An empty pax record leaves the header's field") {
  const TarEntry entry = applied(pax_record("path", "") + pax_record("size", "") +
                                 pax_record("linkpath", "") + pax_record("mtime", ""));
  CHECK(entry.path == "short");
  CHECK(entry.size == 1);
  CHECK(entry.link == "link");
  CHECK(entry.mtime == 4);
}

TEST_CASE("pax times are rounded down, as the kernel's whole seconds are") {
  const auto mtime = [](const std::string& value) {
    return applied(pax_record("mtime", value)).mtime;
  };
  CHECK(mtime("0") == 0);
  CHECK(mtime("1.999999999") == 1);
  CHECK(mtime("-1") == -1);
  CHECK(mtime("-1.0") == -1);
  CHECK(mtime("-1.5") == -2);
  CHECK(mtime("-0.5") == -1);
  for (const std::string broken : {"x", "1.x", "1e3", "+1", "1 ", " 1", "-", "1.5.6", "--1"}) {
    CHECK_FALSE(apply_error(pax_record("mtime", broken)).empty());
  }
}

TEST_CASE("pax records with impossible values are refused") {
  CHECK(apply_error(pax_record("size", "-1")) == "its pax record size is not a number that fits");
  CHECK(apply_error(pax_record("size", "9223372036854775808")) ==
        "its pax record size is not a number that fits");
  CHECK(apply_error(pax_record("size", "0x10")) == "its pax record size is not a number that fits");
  CHECK(apply_error(pax_record("uid", "a")) == "its pax record uid is not a number that fits");
  CHECK(apply_error(pax_record("path", std::string("a\0b", 3))) ==
        "its pax record path holds a NUL");
  CHECK(apply_error(pax_record("linkpath", std::string("a\0b", 3))) ==
        "its pax record linkpath holds a NUL");
  CHECK(apply_error(pax_record("SCHILY.devmajor", "4294967296")) ==
        "its SCHILY.devmajor does not fit into 32 bits");
  CHECK(apply_error(pax_record("GNU.sparse.major", "1")) ==
        "it is stored as a sparse file, which this reader does not support");
}

TEST_CASE("Two long names for one thing are refused, one of each kind is not") {
  TarEntry entry;
  apply_extensions(entry, parse_pax_records(pax_record("path", "p")), std::nullopt, "l");
  CHECK(entry.path == "p");
  CHECK(entry.link == "l");
  CHECK(test::error_of([&] {
          apply_extensions(entry, parse_pax_records(pax_record("path", "p")), "q", std::nullopt);
        }) == "it is named by a GNU and by a pax header");
  CHECK(test::error_of([&] {
          apply_extensions(entry, parse_pax_records(pax_record("linkpath", "p")), std::nullopt,
                           "q");
        }) == "it is named by a GNU and by a pax header");
}

}  // namespace
}  // namespace bba::pipe
