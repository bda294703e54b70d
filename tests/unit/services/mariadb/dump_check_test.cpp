#include "services/mariadb/dump_check.hpp"

#include <random>

#include "unit/pipe/support.hpp"

namespace bba::services::mariadb {
namespace {

namespace test = pipe::test;

const std::string end_marker = "-- Dump completed on 2026-11-26  0:43:57\n";
using Names = std::vector<std::string>;

std::string error_of(std::string_view text, std::size_t step = 1 << 20) {
  DumpCheck check;
  return test::error_of([&] { test::feed(check, text, step); });
}

// What one database holds, for comparing.
std::string shown(const DumpDatabase& one) {
  std::string text = one.name + ":";
  for (const auto& [table, rows] : one.tables) text += " " + table + "=" + std::to_string(rows);
  const auto count = [&](const char* what, std::uint64_t number) {
    if (number > 0) text += std::string(" ") + what + "=" + std::to_string(number);
  };
  count("views", one.views);
  count("routines", one.routines);
  count("events", one.events);
  count("triggers", one.triggers);
  count("sequences", one.sequences);
  count("out", one.tables_left_out);
  return text + " rows=" + std::to_string(one.rows);
}

Names shown(const DumpCheck& check) {
  Names all;
  for (const DumpDatabase& one : check.databases()) all.push_back(shown(one));
  return all;
}

Names counted(const std::string& dump, std::size_t step = 1 << 20) {
  DumpCheck check;
  test::feed(check, dump + end_marker, step);
  return shown(check);
}

std::string real_dump() {
  return test::fixture("sql/mariadb-dump-10.11.sql");
}

const std::string hard_cases =
    "/*M!999999\\- enable the sandbox mode */ \n"
    "-- MariaDB dump 10.19  Distrib 10.11.18-MariaDB, for debian-linux-gnu (x86_64)\n--\n"
    "/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;\n\n"
    "--\n-- Current Database: `it's`\n--\n\n"
    "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `it's` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;\n\n"
    "USE `it's`;\n"
    "DROP TABLE IF EXISTS `a.b (c`;\n"
    "CREATE TABLE `a.b (c` (\n  `d``e` int(11) DEFAULT NULL COMMENT 'x''; -- y\\'z'\n);\n"
    "/*!40000 ALTER TABLE `a.b (c` DISABLE KEYS */;\n"
    "INSERT INTO `a.b (c` VALUES\n(1,'-- Dump completed'),\n(2,'\n-- Dump completed\n'),\n"
    "(-3,'a backslash \\\\'),\n(4,'\\''),\n(5,'it''s (); --'),\n(6,0x2729),\n(7,\"a \\\" b\");\n"
    "INSERT INTO `a.b (c` VALUES (8,NULL),(9,'');\n"
    "/*!40000 ALTER TABLE `a.b (c` ENABLE KEYS */;\n"
    "CREATE TABLE IF NOT EXISTS `Empty ``one```\n(a int);\n"
    "INSERT INTO `some` (`a`, `VALUES (`) VALUES (1,2),(3,4);\n"
    "CREATE SEQUENCE `s` start with 1;\nDO SETVAL(`s`, 2000, 0);\n"
    "/*!50003 SET sql_mode              = 'STRICT_ALL_TABLES' */ ;\nDELIMITER ;;\n"
    "/*!50003 CREATE*/ /*!50017 DEFINER=`r``oot`@`%`*/ /*!50003 TRIGGER t AFTER UPDATE ON x\n"
    "BEGIN\n  INSERT INTO y VALUES (1); -- don't\n  # won't\n  /* can't ; ;; * / **/ SET @a = 1;\n"
    "-- Dump completed\nEND */;;\nDELIMITER ;\n"
    "DELIMITER ;;\nCREATE DEFINER=`root`@`%` PROCEDURE `p`()\nBEGIN\n"
    "  SELECT 'DELIMITER ;\n-- Dump completed\n';\n  SELECT 1--1, 4/2, 2*3;\n"
    "INSERT INTO `a` VALUES (1),(2);\nEND ;;\nDELIMITER ;\n"
    "/*!50003 SET sql_mode              = 'NO_BACKSLASH_ESCAPES' */ ;\nDELIMITER ;;\n"
    "CREATE DEFINER=`root`@`%` FUNCTION `f`() RETURNS text\nRETURN concat('C:\\', \"x\\\") ;;\n"
    "DELIMITER ;\n/*!50003 SET sql_mode              = 'ANSI_QUOTES' */ ;\nDELIMITER ;;\n"
    "CREATE DEFINER=`root`@`%` FUNCTION `g`() RETURNS text\nRETURN concat('\\'', \"a\\\") ;;\n"
    "DELIMITER ;\n/*!50003 SET sql_mode              = @saved_sql_mode */ ;\n"
    "DELIMITER ;;\n/*!50106 CREATE*/ /*!50117 DEFINER=`root`@`%`*/ /*!50106 EVENT `e` ON SCHEDULE "
    "EVERY 1 DAY DO BEGIN DELETE FROM a; END */ ;;\nDELIMITER ;\n"
    "/*!50001 CREATE VIEW `v` AS SELECT\n 1 AS `id` */;\n"
    "USE `other`;\nUSE `it's`;\n/*!50001 CREATE ALGORITHM=UNDEFINED */\n"
    "/*!50013 DEFINER=`root`@`%` SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select 1 */;\n"
    "INSERT INTO `last` VALUES ('\\\\');\n";
const Names hard_cases_hold{
    "it's: Empty `one`=0 a.b (c=9 last=1 some=2 views=1 routines=3 events=1 triggers=1 sequences=1 "
    "rows=12",
    "other: rows=0"};

TEST_CASE(
    "A real dump of MariaDB 10.11 is complete, and what is in it is counted, at every split") {
  const std::string dump = real_dump();
  DumpCheck whole;
  test::feed(whole, dump, dump.size());
  const Names expected = shown(whole);
  CHECK(whole.bytes() == dump.size());
  REQUIRE(expected.size() == 4);
  CHECK(expected[0] == "Empty one: rows=0");
  CHECK(expected[1] == "it's the `old` archive: children=1 letters=3 parents=1 rows=5");
  CHECK(expected[2].starts_with("mysql: column_stats=0 columns_priv=2 "));
  CHECK(expected[3] ==
        "shop: Empty `one`=0 a.b (c=2 blobs=6 changes=0 counters=1 every_type=2 hostile_rows=10 "
        "orders=3 sessions=3 views=1 routines=3 events=1 triggers=1 sequences=1 rows=27");
  for (const std::size_t step : {1U, 2U, 3U, 7U, 4096U}) {
    DumpCheck check;
    test::feed(check, dump, step);
    CHECK(shown(check) == expected);
  }
  for (std::size_t split = 0; split <= dump.size(); split += 101) {
    DumpCheck check;
    test::feed_split(check, dump, split);
    REQUIRE(shown(check) == expected);
  }
}

// The fixture has the marker in rows and, as comments, in the body of a procedure.
TEST_CASE("A dump cut anywhere is an error") {
  for (const std::string& dump : {real_dump(), hard_cases + end_marker}) {
    DumpCheck check;
    for (std::size_t size = 0; size < dump.size(); ++size) {
      CAPTURE(size);
      REQUIRE_FALSE(test::error_of([&] { check.finish(); }).empty());
      check.write(Chunk::copy_of(std::string_view(dump).substr(size, 1)));
    }
    CHECK_NOTHROW(check.finish());
  }
}

TEST_CASE("The error says where the dump was cut") {
  const auto expected = [](const std::string& dump, const std::string& where) {
    return "SQL dump: it ends at byte " + std::to_string(dump.size()) +
           " without the line \"-- Dump completed\": " + where;
  };
  for (const auto& [dump, where] : std::vector<std::pair<std::string, std::string>>{
           {"INSERT INTO `t` VALUES (1),", "cut inside the rows of a table"},
           {"INSERT INTO `t` VALUES ('\n-- Dump completed\n", "cut inside the rows of a table"},
           {"INSERT INTO `t` VALUES (1),\n-- Dump completed\n", "cut inside the rows of a table"},
           {"CREATE TABLE `t` (\n", "cut inside a statement"},
           {"CREATE TABLE `t` (\n-- Dump completed\n", "cut inside a statement"},
           {"/*!50001 DROP VIEW `v`\n-- Dump completed\n", "cut inside a statement"},
           {"DELIMITER ;;\n-- Dump completed\n", "cut, or something follows"},
           {"/*\n-- Dump completed\n", "cut, or something follows"},
           {"USE `x`;\n", "cut, or something follows"},
           {"", "cut, or something follows"}}) {
    CAPTURE(dump);
    CHECK(error_of(dump) == expected(dump, where));
    CHECK(error_of(dump, 1) == expected(dump, where));
  }
}

TEST_CASE("Anything behind the end marker, and a marker that is not exact, is an error") {
  const std::string dump = "USE `x`;\n" + end_marker;
  CHECK(error_of(dump).empty());
  CHECK(error_of("USE `x`;\n-- Dump completed\n").empty());
  CHECK(error_of("USE `x`;-- Dump completed\n", 1).empty());
  CHECK(error_of(end_marker).empty());
  CHECK(error_of(end_marker + end_marker).empty());
  for (const std::string& broken :
       {dump + "\n", dump + "x", dump + std::string(1, '\0'), dump + "USE `y`;\n",
        dump.substr(0, dump.size() - 1), std::string("-- Dump completed successfully\n"),
        std::string("--  Dump completed\n"), std::string("-- Dump completed\r\n"),
        std::string("--Dump completed\n"), std::string("# Dump completed\n"), "-- " + end_marker,
        std::string("-- Dump completed")}) {
    CAPTURE(broken);
    CHECK(test::contains(error_of(broken), "without the line \"-- Dump completed\""));
    CHECK(test::contains(error_of(broken, 1), "without the line \"-- Dump completed\""));
  }
}

TEST_CASE("Strings, comments, bodies and hard names are read as the client does, at every split") {
  CHECK(counted(hard_cases) == hard_cases_hold);
  const std::string dump = hard_cases + end_marker;
  for (std::size_t split = 0; split <= dump.size(); ++split) {
    DumpCheck check;
    test::feed_split(check, dump, split);
    CAPTURE(split);
    REQUIRE(shown(check) == hard_cases_hold);
  }
  for (const std::size_t step : {1U, 2U, 3U, 7U})
    CHECK(counted(hard_cases, step) == hard_cases_hold);
}

TEST_CASE("All rows in one line, as MySQL writes them, are counted as well") {
  const std::string columns = " (`a`, `b`)";
  for (const std::string& names : {std::string(), columns}) {
    CHECK(counted("USE `x`;\nINSERT INTO `t`" + names +
                  " VALUES (1,'),('),(2,_binary '\\0''),('),"
                  "(3,0xFF),(4,-1.5e-10);\nINSERT INTO `t`" +
                  names + " VALUES (5,NULL);\n") == Names{"x: t=5 rows=5"});
  }
}

TEST_CASE("Rows before any USE belong to no database, and a name without an end is ignored") {
  CHECK(counted("CREATE TABLE `t` (a int);\nINSERT INTO `t` VALUES (1);\n").empty());
  CHECK(counted("USE x;\n").empty());
  CHECK(counted("USE `" + std::string(300, 'x') + "`;\nINSERT INTO `t` VALUES (1);\n").empty());
}

TEST_CASE("At most 10,000 tables are kept, the rows of the others in their database's sum") {
  std::string script = "USE `app`;\n";
  for (int i = 0; i < 10'003; ++i) {
    const std::string name = "`t" + std::to_string(i) + "`";
    script += "CREATE TABLE " + name + " (a int);\nINSERT INTO " + name + " VALUES (1);\n";
  }
  script += "USE `other`;\nCREATE TABLE `last` (a int);\nINSERT INTO `last` VALUES (1),(2);\n";
  DumpCheck check;
  test::feed(check, script + end_marker, 65536);
  CHECK(check.databases()[0].tables.size() == 10'000);
  CHECK(check.databases()[0].tables_left_out == 3);
  CHECK(check.databases()[0].rows == 10'003);
  CHECK(shown(check.databases()[1]) == "other: out=1 rows=2");
}

TEST_CASE("At most 10,000 databases are kept") {
  std::string script;
  for (int i = 0; i < 10'010; ++i) script += "USE `db" + std::to_string(i) + "`;\n";
  CHECK(counted(script).size() == 10'000);
}

TEST_CASE("Statements, comments and strings of any length pass") {
  const std::string huge(3'000'000, 'x');
  CHECK(counted("USE `x`;\n-- " + huge + "\n/* " + huge + " */\nCREATE TABLE `t` (a int COMMENT '" +
                    huge + "');\nINSERT INTO `t` VALUES ('" + huge + "',0x" +
                    std::string(3'000'000, 'A') + ");\n",
                4096) == Names{"x: t=1 rows=1"});
  CHECK(test::contains(error_of(huge, 4096), "at byte 3000000 without the line"));
}

TEST_CASE("Mutated dumps are refused, or end as they should") {
  std::mt19937_64 random(1);
  for (const std::string& dump : {real_dump(), hard_cases + end_marker}) {
    for (int i = 0; i < 1000; ++i) {
      const std::string broken = test::mutated(dump, random);
      if (!error_of(broken, 1 + random() % 5000).empty()) continue;
      const std::size_t line = broken.rfind("-- Dump completed");
      REQUIRE(line != broken.npos);
      CHECK(broken.find('\n', line) == broken.size() - 1);
    }
  }
}

}  // namespace
}  // namespace bba::services::mariadb
