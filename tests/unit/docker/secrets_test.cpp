// What programs print, with the secrets that they were given replaced.
#include "bba/docker/secrets.hpp"

#include <doctest/doctest.h>

using bba::docker::without_secrets;

TEST_CASE("secrets: a token is replaced by its name, an address is not") {
  const std::vector<bba::wire::EnvVar> env{{"VAULT_ADDR", "http://127.0.0.1:8200"},
                                           {"VAULT_TOKEN", "hvs.abcdef"}};
  CHECK(without_secrets("GET http://127.0.0.1:8200: hvs.abcdef, hvs.abcdef!", env) ==
        "GET http://127.0.0.1:8200: [VAULT_TOKEN], [VAULT_TOKEN]!");
  CHECK(without_secrets("nothing of it", env) == "nothing of it");
  CHECK(without_secrets("", env).empty());
}

TEST_CASE("secrets: the password in an address is replaced") {
  const std::vector<bba::wire::EnvVar> env{{"MC_HOST_local", "http://root:p@ss:word@minio:9000"}};
  CHECK(without_secrets("bad http://root:p@ss:word@minio:9000", env) == "bad [MC_HOST_local]");
  CHECK(without_secrets("bad 'p@ss:word'", env) == "bad '[MC_HOST_local]'");
  CHECK(without_secrets("PG: x://u:secret@h, secret", {{"DSN", "x://u:secret@h"}}) ==
        "PG: x://u:[DSN]@h, [DSN]");
}

TEST_CASE("secrets: a value too short to be distinguished from other words stays") {
  CHECK(without_secrets("exit code 1", {{"PGPASSWORD", "1"}, {"A_TOKEN", ""}}) == "exit code 1");
  CHECK(without_secrets("abcd", {{"MC_HOST_a", "http://host"}, {"B_KEY", "@"}}) == "abcd");
}

TEST_CASE("secrets: a secret that equals its variable's name does not loop") {
  CHECK(without_secrets("TOKEN", {{"TOKEN", "TOKEN"}}) == "[TOKEN]");
}
