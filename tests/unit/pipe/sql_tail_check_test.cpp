#include "bba/pipe/check.hpp"
#include "unit/pipe/support.hpp"

namespace bba::pipe {
namespace {

const std::string end_marker = "--\n-- PostgreSQL database cluster dump complete\n--\n\n";
using Names = std::vector<std::string>;

std::string sql_error(std::string_view text, std::size_t step = 1 << 20) {
  SqlTailCheck check;
  return test::error_of([&] { test::feed(check, text, step); });
}

Names databases(const std::string& script) {
  SqlTailCheck check;
  test::feed(check, script + end_marker, 5);
  return check.databases();
}

TEST_CASE("A real dump of PostgreSQL 15 is complete, and its databases are noted, at every split") {
  const std::string dump = test::fixture("sql/pg_dumpall-15.sql");
  const Names expected{"template1", "Upper", "We ird 'q\\ \"x", "app", "postgres", "select"};
  for (std::size_t split = 0; split <= dump.size(); ++split) {
    SqlTailCheck check;
    test::feed_split(check, dump, split);
    CHECK(check.databases() == expected);
    CHECK(check.bytes() == dump.size());
  }
  for (const std::size_t step : {1U, 2U, 3U}) {
    SqlTailCheck check;
    test::feed(check, dump, step);
    CHECK(check.databases() == expected);
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

TEST_CASE("Anything behind the end marker, and a marker that is not quite one, is an error") {
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
}  // namespace bba::pipe
