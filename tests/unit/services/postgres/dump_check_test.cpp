#include "services/postgres/dump_check.hpp"

#include "unit/pipe/support.hpp"

namespace bba::services::postgres {
namespace {

namespace test = pipe::test;

const std::string end_marker = "--\n-- PostgreSQL database cluster dump complete\n--\n\n";
using Names = std::vector<std::string>;

std::string sql_error(std::string_view text, std::size_t step = 1 << 20) {
  DumpCheck check;
  return test::error_of([&] { test::feed(check, text, step); });
}

Names names_of(const DumpCheck& check) {
  Names names;
  for (const DumpDatabase& one : check.databases()) names.push_back(one.name);
  return names;
}

Names databases(const std::string& script) {
  DumpCheck check;
  test::feed(check, script + end_marker, 5);
  return names_of(check);
}

// The section that fills one table, as pg_dump writes it.
std::string rows_of(const std::string& table, const std::string& rows) {
  return "--\n-- Data for Name: x; Type: TABLE DATA; Schema: public; Owner: postgres\n--\n\nCOPY " +
         table + " (a, b) FROM stdin;\n" + rows + "\\.\n\n\n";
}

// What one database holds, for comparing.
std::string shown(const DumpDatabase& one) {
  std::string text = one.name + ":";
  for (const std::string& extension : one.extensions) text += " +" + extension;
  for (const auto& [table, rows] : one.tables) text += " " + table + "=" + std::to_string(rows);
  if (one.large_objects > 0) text += " lo=" + std::to_string(one.large_objects);
  if (one.large_object_bytes > 0) text += "/" + std::to_string(one.large_object_bytes);
  if (one.tables_left_out > 0) text += " out=" + std::to_string(one.tables_left_out);
  return text + " rows=" + std::to_string(one.rows);
}

Names counted(const std::string& script, std::size_t step = 1 << 20) {
  DumpCheck check;
  test::feed(check, script + end_marker, step);
  Names all;
  for (const DumpDatabase& one : check.databases()) all.push_back(shown(one));
  return all;
}

TEST_CASE("A real dump of PostgreSQL 15 is complete, and its databases are noted, at every split") {
  const std::string dump = test::fixture("sql/pg_dumpall-15.sql");
  const Names expected{"template1", "Upper", "We ird 'q\\ \"x", "app", "postgres", "select"};
  for (std::size_t split = 0; split <= dump.size(); ++split) {
    DumpCheck check;
    test::feed_split(check, dump, split);
    CHECK(names_of(check) == expected);
    CHECK(check.bytes() == dump.size());
  }
  for (const std::size_t step : {1U, 2U, 3U}) {
    DumpCheck check;
    test::feed(check, dump, step);
    CHECK(names_of(check) == expected);
  }
}

// The fixture holds a table whose rows are the end marker's lines, so one cut falls right behind
// them.
TEST_CASE("A dump cut anywhere is an error, also behind rows that read like the end marker") {
  const std::string dump = test::fixture("sql/pg_dumpall-15.sql");
  REQUIRE(dump.find(end_marker) < dump.size() - end_marker.size());
  for (std::size_t size = 0; size < dump.size(); ++size) {
    CHECK_FALSE(sql_error(std::string_view(dump).substr(0, size)).empty());
  }
  const std::size_t in_rows = dump.find(end_marker) + end_marker.size();
  CHECK(sql_error(std::string_view(dump).substr(0, in_rows)) ==
        "SQL dump: cut inside the rows of a COPY at byte " + std::to_string(in_rows));
  CHECK(sql_error(std::string_view(dump).substr(0, in_rows), 1) ==
        "SQL dump: cut inside the rows of a COPY at byte " + std::to_string(in_rows));
}

TEST_CASE("Anything behind the end marker, and a marker that is not exact, is an error") {
  const std::string dump = "SELECT 1;\n" + end_marker;
  CHECK(sql_error(dump).empty());
  CHECK(sql_error(end_marker).empty());
  for (const std::string& broken :
       {dump + "\n", dump + "x", dump + std::string(1, '\0'), dump.substr(0, dump.size() - 1),
        "SELECT 1;\n-" + end_marker, "SELECT '" + end_marker, std::string(),
        std::string("--\r\n-- PostgreSQL database cluster dump complete\r\n--\r\n\r\n"),
        std::string("--\n-- PostgreSQL database dump complete\n--\n\n")}) {
    const std::string expected = "SQL dump: it ends at byte " + std::to_string(broken.size()) +
                                 " without pg_dumpall's end marker: cut, or something follows";
    CHECK(sql_error(broken) == expected);
    CHECK(sql_error(broken, 1) == expected);
  }
}

TEST_CASE("The lines of \\connect: plain, quoted, as a connection string, once each") {
  CHECK(databases("\\connect app\n\\connect \"Up \"\"per\"\n\\connect app\n") ==
        Names{"app", "Up \"per"});
  CHECK(databases("\\connect -reuse-previous=on \"dbname='x y'\"\n") == Names{"x y"});
  CHECK(databases("\\connect -reuse-previous=on \"dbname='it\\'s \\\\ \"\"q\"\"'\"\n") ==
        Names{"it's \\ \"q\""});
  CHECK(databases("\\connect -reuse-previous=on \"dbname=plain\"\n") == Names{"plain"});
  CHECK(databases("\\connect -reuse-previous=on dbname=plain\n") == Names{"plain"});
  CHECK(databases("\\connect \"unended\n\\connect \n\\connect\nx\\connect no\n").size() == 1);
}

TEST_CASE("Inside the rows of a COPY nothing but their end counts") {
  const std::string announced = "--\n-- Data for Name: t; Type: TABLE DATA\n--\n\n";
  const std::string rows = "COPY public.t (a) FROM stdin;\n\\connect evil\n\\\\.\n\\.x\n\\N\n\\.\n";
  CHECK(databases(announced + rows + "\\connect good\n") == Names{"good"});
  CHECK(
      test::contains(sql_error(announced + "COPY t FROM stdin;\n" + end_marker), "rows of a COPY"));
  // A function's body that looks like a COPY: not announced, so no rows follow.
  CHECK(sql_error("CREATE FUNCTION f() AS $$\nCOPY t FROM stdin;\n$$;\n" + end_marker).empty());
  // An empty table.
  CHECK(sql_error(announced + "COPY t FROM stdin;\n\\.\n\n\n" + end_marker).empty());
}

TEST_CASE("Rows, extensions and large objects are counted for each database, at every split") {
  const std::string dump =
      "\\restrict aKey\n\\connect template1\n\nSET x = y;\n\\connect app\n\n"
      "--\n-- Name: hstore; Type: EXTENSION; Schema: -; Owner: -\n--\n\n"
      "CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA public;\n\n\n"
      "--\n-- Name: uuid-ossp; Type: EXTENSION; Schema: -; Owner: -\n--\n\n"
      "CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" WITH SCHEMA public;\n\n\n"
      "--\n-- Name: f(); Type: FUNCTION\n--\n\nCREATE FUNCTION f() AS $$\n"
      "CREATE EXTENSION evil;\nSELECT pg_catalog.lo_create('7');\n"
      "SELECT pg_catalog.lowrite(0, '\\x00');\n$$;\n\n"
      "--\n-- Name: 50001..50002; Type: BLOB METADATA; Schema: -; Owner: -\n--\n\n"
      "SELECT pg_catalog.lo_create('50001');\nSELECT pg_catalog.lo_create('50002');\n\n\n"
      "ALTER LARGE OBJECT 50001 OWNER TO postgres;\n" +
      rows_of("public.t", "1\ta\n2\t\\N\n3\t\\\\.\n--\t\n\xff\xfe\x80\t\\n\n") +
      rows_of("sales.\"Empty \"\"one\"\".x (\"", "") +
      rows_of("\"we.ird (x\".\"a \"\" b\"", "\n\n") +
      "--\n-- Data for Name: BLOBS; Type: BLOBS; Schema: -; Owner: -\n--\n\nBEGIN;\n\n"
      "SELECT pg_catalog.lo_open('50001', 131072);\n"
      "SELECT pg_catalog.lowrite(0, '\\x000102');\nSELECT pg_catalog.lowrite(0, '\\\\xff');\n"
      "SELECT pg_catalog.lo_close(0);\n\nCOMMIT;\n\n"
      "SELECT pg_catalog.lowrite(0, '\\x00');\n"
      "\\unrestrict aKey\n\\connect -reuse-previous=on \"dbname='it\\'s'\"\n\n" +
      rows_of("public.t", "1\n") + rows_of("public.t", "2\n3\n") + end_marker;
  const Names expected{"template1: rows=0",
                       "app: +hstore +uuid-ossp \"we.ird (x\".\"a \"\" b\"=2 public.t=5 "
                       "sales.\"Empty \"\"one\"\".x (\"=0 lo=2/4 rows=7",
                       "it's: public.t=3 rows=3"};
  CHECK(counted(dump.substr(0, dump.size() - end_marker.size())) == expected);
  for (std::size_t split = 0; split <= dump.size(); ++split) {
    DumpCheck check;
    test::feed_split(check, dump, split);
    Names all;
    for (const DumpDatabase& one : check.databases()) all.push_back(shown(one));
    CAPTURE(split);
    REQUIRE(all == expected);
  }
  for (const std::size_t step : {1U, 2U, 3U, 7U}) {
    CHECK(counted(dump.substr(0, dump.size() - end_marker.size()), step) == expected);
  }
}

TEST_CASE("Rows of every length are counted, whatever the chunks, and only \\. alone ends them") {
  std::mt19937_64 random(7);
  for (const std::size_t step : {1U, 7U, 64U, 1000U, 65536U}) {
    std::string rows;
    std::uint64_t count = 0;
    while (rows.size() < 20'000) {
      std::string row(random() % 40, 'x');
      for (char& c : row) {
        constexpr std::string_view odd = "\\.\r\t\x8a\x0b\x80\x01 a";
        c = odd[random() % odd.size()];
      }
      if (row == "\\.") row += ' ';
      rows += row + "\n";
      ++count;
    }
    CHECK(counted("\\connect app\n" + rows_of("t", rows), step) ==
          Names{"app: t=" + std::to_string(count) + " rows=" + std::to_string(count)});
  }
  // More short rows than eight counters of one byte each can count.
  for (const std::size_t size : {0U, 1U, 7U, 8U, 255U, 256U, 2039U, 2040U, 2041U, 5000U}) {
    CHECK(counted("\\connect app\n" + rows_of("t", std::string(size, '\n'))) ==
          Names{"app: t=" + std::to_string(size) + " rows=" + std::to_string(size)});
  }
}

TEST_CASE("The counts of a real dump of PostgreSQL 15") {
  const std::string dump = test::fixture("sql/pg_dumpall-15.sql");
  DumpCheck check;
  test::feed(check, dump, 4096);
  std::uint64_t rows = 0, large_objects = 0;
  for (const DumpDatabase& one : check.databases()) {
    rows += one.rows;
    large_objects += one.large_objects;
  }
  // Counted by another program, which recognises the start of the rows as well.
  const test::Ran awk = test::run(
      "awk '!c && p1==\"\" && p2==\"--\" && /^COPY .* FROM stdin;$/ {c=1; next} c && $0==\"\\\\.\" "
      "{c=0; p1=$0; next} c {n++; next} /^SELECT pg_catalog.lo_create/ {l++} {p2=p1; p1=$0} END "
      "{print n+0, l+0}'",
      dump);
  CHECK(awk.output == std::to_string(rows) + " " + std::to_string(large_objects) + "\n");
  CHECK(rows > 0);
}

TEST_CASE("At most 10,000 tables are kept, the rows of the others in their database's sum") {
  std::string script = "\\connect app\n";
  for (int i = 0; i < 10'003; ++i) script += rows_of("t" + std::to_string(i), "1\n");
  script += "\\connect other\n" + rows_of("last", "1\n2\n") + rows_of("", "1\n");
  script += rows_of(std::string(1000, 'x'), "1\n");
  DumpCheck check;
  test::feed(check, script + end_marker, 65536);
  CHECK(check.databases()[0].tables.size() == 10'000);
  CHECK(check.databases()[0].tables_left_out == 3);
  CHECK(check.databases()[0].rows == 10'003);
  CHECK(shown(check.databases()[1]) == "other: out=3 rows=4");
}

TEST_CASE("Lines of any length pass, and only those that matter are kept") {
  const std::string announced = "--\n-- Data for Name: t\n--\n\n";
  const std::string columns = test::random_lines(200'000, 1);
  std::string one_line = columns;
  for (char& c : one_line) c = c == '\n' ? ' ' : c;
  CHECK(test::contains(
      sql_error(announced + "COPY t (" + one_line + ") FROM stdin;\n" + end_marker, 4096),
      "rows of a COPY"));
  std::string huge(3'000'000, 'x');
  CHECK(sql_error(huge + "\n" + end_marker, 4096).empty());
  CHECK(sql_error(huge, 4096) ==
        "SQL dump: it ends at byte 3000000 without pg_dumpall's end marker: cut, or something "
        "follows");
  CHECK(databases("\\connect " + huge + "\n\\connect app\n") == Names{"app"});
}

TEST_CASE("At most 10,000 databases are noted") {
  std::string script;
  for (int i = 0; i < 10'010; ++i) script += "\\connect db" + std::to_string(i) + "\n";
  CHECK(databases(script).size() == 10'000);
}

TEST_CASE("Mutated dumps are refused, or end as they should") {
  const std::string dump = test::fixture("sql/pg_dumpall-15.sql");
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    const std::string broken = test::mutated(dump, random);
    if (sql_error(broken, 1 + random() % 5000).empty()) CHECK(broken.ends_with(end_marker));
  }
}

}  // namespace
}  // namespace bba::services::postgres
