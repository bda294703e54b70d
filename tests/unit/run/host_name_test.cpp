// When two names are of one host.
#include "bba/run/host_name.hpp"

#include <doctest/doctest.h>

using namespace bba::run;

TEST_CASE("host name: this host's own name is its own") {
  CHECK_FALSE(host_name().empty());
  CHECK(same_host(host_name(), host_name()));
}

TEST_CASE("host name: a short name stands for a full one, and case does not count") {
  CHECK(same_host("db1", "db1"));
  CHECK(same_host("db1", "DB1.example.org"));
  CHECK(same_host("DB1.Example.org", "db1"));
  CHECK(same_host("db1.example.org", "DB1.EXAMPLE.ORG"));
  CHECK_FALSE(same_host("db1", "db2"));
  CHECK_FALSE(same_host("db1", "db11"));
  CHECK_FALSE(same_host("db1", "db11.example.org"));
  CHECK_FALSE(same_host("db1.example.org", "db1.example.com"));
  CHECK_FALSE(same_host("", "db1"));
}
