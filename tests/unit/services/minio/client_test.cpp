// MinIO: the client's credentials, its listings in pieces of any size, and keys that are no
// paths.
#include "services/minio/client.hpp"

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"
#include "services/minio/minio.hpp"
#include "unit/service/support.hpp"

using namespace bba;
using namespace bba::services::minio;
using Names = std::vector<std::string>;

namespace {

std::string environment_of(const wire::ExecConfig& mc) {
  Names variables;
  for (const wire::EnvVar& one : mc.env) variables.push_back(one.name + "=" + one.value);
  return join(variables, ", ");
}

const std::string object =
    R"({"status":"success","type":"file","lastModified":"2024-03-01T12:00:00.123+01:00","size":17,)"
    R"("key":"documents/a b.txt","etag":"0123456789abcdef0123456789ABCDEF",)"
    R"("url":"http://127.0.0.1:9000/"})";
// As mc prints it, over several lines.
const std::string error = R"({
 "status": "error",
 "error": {
  "message": "Unable to list folder.",
  "cause": {
   "message": "Access Denied.",
   "error": {}
  },
  "type": "fatal"
 }
})";

using End = ObjectListing::End;

// What a real mc printed: fixtures/real/mc/README.md.
std::string recorded(const std::string& name) {
  std::ifstream file(BBA_SOURCE_DIR "/fixtures/real/mc/" + name + ".stdout");
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

Names keys_of(const std::string& text, std::size_t step, End end = End::anywhere) {
  Names keys;
  ObjectListing listing(end, [&](const ObjectEntry& entry) { keys.push_back(entry.key); });
  for (std::size_t at = 0; at < text.size(); at += step) listing.add(text.substr(at, step));
  listing.end();
  return keys;
}

// What it throws, as "kind: message".
std::string failure_of(const std::string& text, std::size_t step = 1000, End end = End::anywhere) {
  try {
    keys_of(text, step, end);
  } catch (const Error& thrown) {
    return thrown.what();
  }
  return {};
}

}  // namespace

TEST_CASE("minio: the operator's credentials, else the container's root user, as they are") {
  const service::Target target = test::target("minio", 'D');
  const auto lent = [&](const std::map<std::string, std::string>& environment,
                        const std::optional<std::string>& user,
                        const std::optional<std::string>& password) {
    const wire::ExecConfig mc = client(target, "local", environment, user, password);
    CHECK(mc.argv == Names{"mc", "--quiet"});
    return environment_of(mc);
  };
  CHECK(lent({{"MC_HOST_local", "https://k:s@host"}}, "root", "secret") ==
        "MC_HOST_local=https://k:s@host");
  // mc decodes nothing.
  CHECK(lent({}, "root", "s%41@/#ü") == "MC_HOST_local=http://root:s%41@/#ü@127.0.0.1:9000");
  CHECK(lent({{"MC_HOST_other", "https://k:s@host"}}, {}, {}).empty());
  CHECK(lent({}, "root", {}).empty());
  // mc would take what follows the colon for a session token.
  CHECK(lent({}, "root", "with:colon").empty());
}

TEST_CASE("minio: a read-only root file system has no place for mc's configuration") {
  service::Target target = test::target("minio", 'D');
  target.container.readonly_rootfs = true;
  target.operator_env = {{"MC_REGION", "eu"}};
  CHECK(environment_of(client(target, "a", {}, {}, {})) ==
        "MC_CONFIG_DIR=/dev/shm/.mc, MC_REGION=eu");
}

TEST_CASE("minio: which aliases are accepted") {
  for (const char* good : {"a", "local", "My-minio_2"}) CHECK(valid_alias(good));
  for (const char* bad : {"", "-r", "--json", "2a", "a b", "a/b", "a.b", "ä", "_a", "a\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(valid_alias(bad));
  }
}

TEST_CASE("minio: an object's line is read") {
  const auto entry = parse_object_line(object);
  REQUIRE(entry);
  CHECK(entry->key == "documents/a b.txt");
  CHECK(entry->size == 17);
  CHECK(entry->mtime == 1709290800);
  CHECK(is_md5(entry->etag));
  CHECK_FALSE(entry->is_folder);
  CHECK(parse_object_line(R"({"status":"success","type":"folder","key":"documents/"})")->is_folder);
  for (const char* bad : {"", "[]", "{}", "mc: listing", R"({"key":17})"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_object_line(bad));
  }
}

TEST_CASE("minio: a folder in a listing shows that the alias is a directory, not a server") {
  try {
    parse_object_line(R"({"status":"success","type":"folder","key":"etc/","url":"/"})");
    FAIL("a directory was taken for a server");
  } catch (const Error& thrown) {
    CHECK(thrown.kind() == ErrorKind::config);
  }
}

TEST_CASE("minio: a listing is read, cut everywhere") {
  const std::string text = object + "\n\n" + object + "\n";
  for (std::size_t step = 1; step < text.size(); ++step) {
    CHECK(keys_of(text, step) == Names{"documents/a b.txt", "documents/a b.txt"});
  }
  CHECK(keys_of(object, 7).size() == 1);  // without a newline at the end
  CHECK(keys_of("", 1).empty());
}

TEST_CASE("minio: an error in a listing is found, whatever stands around it") {
  for (const std::string& text :
       {error, object + "\n" + error + "\n", error + "\n" + object, object + "\n" + error}) {
    for (const std::size_t step : {1U, 10U, 1000U}) {
      CHECK(failure_of(text, step) == "mc: Unable to list folder: Access Denied.");
    }
  }
  CHECK(failure_of(R"({"status":"error"})") == "mc: an error that it does not name");
  CHECK(failure_of(R"({"status":"error","error":{"cause":{"message":"x"}}})") ==
        "mc: an error that it does not name: x");
}

TEST_CASE("minio: output that is not a listing is an error") {
  CHECK(failure_of("Segmentation fault\n") ==
        "mc ls printed what is not a listing: Segmentation fault");
  CHECK(failure_of(object.substr(0, 50)).starts_with("mc ls printed what is not a listing: {"));
  CHECK(failure_of(object + "\n" + object.substr(0, 50) + "\n")
            .starts_with("mc ls printed what is not a listing: {"));
  CHECK(failure_of("{}\n") == "mc ls printed what is not a listing: {}");
  // The limit holds however the text is divided.
  CHECK_FALSE(failure_of("{" + std::string(100'000, ' '), 100).empty());
  CHECK_FALSE(failure_of("{" + std::string(100'000, '\n'), 100'001).empty());
}

TEST_CASE("minio: a listing that has to end in totals, as a real mc prints it, cut everywhere") {
  const std::string text = recorded("ls-recursive-summarize");
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, text.size()}) {
    const Names keys = keys_of(text, step, End::totals);
    REQUIRE(keys.size() == 40);
    CHECK(keys.front() == "locked/encrypted");
  }
  CHECK(keys_of(recorded("ls-recursive-empty-server-summarize"), 5, End::totals).empty());
  // The same over several lines.
  CHECK(keys_of("{\n \"totalObjects\": 0,\n \"totalSize\": 0\n}\n", 5, End::totals).empty());
}

TEST_CASE("minio: a listing without its totals, with wrong ones, or that goes on after them") {
  const std::string text = recorded("ls-recursive-summarize");
  const std::size_t last = text.rfind('{');
  const std::string totals = text.substr(last);
  const std::string none =
      "mc ls did not end with the totals of its listing: some of it may be missing";
  const auto failure = [](const std::string& listing) {
    return failure_of(listing, 1000, End::totals);
  };
  CHECK(failure(text.substr(0, last)) == none);
  CHECK(failure("") == none);
  CHECK(failure(text.substr(text.find('\n') + 1)) ==
        "mc ls listed 39 objects of 17210300 bytes, and its totals are 40 and 17280300");
  CHECK(failure(object + "\n{\"totalObjects\":1,\"totalSize\":18}\n") ==
        "mc ls listed 1 objects of 17 bytes, and its totals are 1 and 18");
  CHECK(failure(text + totals).starts_with("mc ls printed what is not a listing: {"));
  CHECK(failure(text + object).starts_with("mc ls printed what is not a listing: {"));
  CHECK(failure("{\"totalObjects\":1}").starts_with("mc ls printed what is not a listing: {"));
  CHECK(failure(text.substr(0, last) + error) == "mc: Unable to list folder: Access Denied.");
  // Totals where none were asked for.
  CHECK(failure_of(text).starts_with("mc ls printed what is not a listing: {"));
}

TEST_CASE("minio: whether mc knows an alias, as a real one says it") {
  CHECK(alias_unknown_because(recorded("alias-list-from-environment"), "backup") == std::nullopt);
  CHECK(alias_unknown_because(recorded("alias-list-default"), "local") == std::nullopt);
  CHECK(alias_unknown_because(
            "mc: Configuration written to `/root/.mc/config.json`.\n{\n \"status\": \"success\",\n"
            " \"alias\": \"local\"\n}\n",
            "local") == std::nullopt);
  const auto unknown = alias_unknown_because(recorded("alias-list-unknown"), "backup");
  REQUIRE(unknown);
  CHECK(unknown->starts_with("No such alias `backup` found: Use `mc alias set mycloud backup"));
}

TEST_CASE("minio: nothing of the answer that has the secret key is repeated") {
  const std::string answer = recorded("alias-list-from-environment");
  REQUIRE(answer.find("password1") != answer.npos);
  for (const std::string& odd :
       {answer, answer.substr(0, answer.size() - 3), answer + "}", "x" + answer, std::string(),
        std::string("[]"), std::string("{}")}) {
    CAPTURE(odd);
    const auto why = alias_unknown_because(odd, "other");
    REQUIRE(why);
    CHECK(why->find("password1") == why->npos);
    CHECK(why->find("admin") == why->npos);
  }
}

TEST_CASE("minio: a restricted user is shown its own buckets, and refused the others") {
  CHECK(keys_of(recorded("ls-buckets"), 100) == Names{"empty/", "locked/", "plain/", "worm/"});
  CHECK(keys_of(recorded("ls-restricted-buckets"), 100) == Names{"plain/"});
  CHECK(failure_of(recorded("ls-restricted-other")) == "mc: Unable to list folder: Access Denied.");
  // `ls` does not tell an alias that it does not know from an empty server.
  CHECK(recorded("ls-unknown-alias-recursive-summarize") ==
        recorded("ls-recursive-empty-server-summarize"));
}

TEST_CASE("minio: the number of buckets, as a real server's administrator is told it") {
  CHECK(bucket_count(recorded("admin-info")) == 0);
  CHECK(bucket_count(R"({"status":"success","info":{"buckets":{"count":4}}})") == 4);
  for (const std::string& none :
       {std::string(), error, recorded("alias-list-default"), std::string("{}"),
        std::string(
            R"({"status":"error","error":"Access Denied.","info":{"buckets":{"count":0}}})"),
        std::string(R"({"status":"success","info":{"buckets":{"count":0,"error":"no usage"}}})"),
        std::string(R"({"status":"success","info":{"buckets":{}}})")}) {
    CAPTURE(none);
    CHECK(bucket_count(none) == std::nullopt);
  }
}

TEST_CASE("minio: which directories of a server's data are buckets") {
  for (const char* good : {"abc", "my.bucket-1", "Old_Name"}) {
    CAPTURE(good);
    CHECK(valid_bucket(good));
  }
  for (const char* bad : {"", "ab", ".minio.sys", "lost+found", "minio", "a/b", "-abc", "abc."}) {
    CAPTURE(bad);
    CHECK_FALSE(valid_bucket(bad));
  }
}

TEST_CASE("minio: the buckets that the credentials do not show") {
  const std::set<std::string> shown{"a-one", "b-two"};
  const auto noted = [&](const ServerBuckets& server) {
    service::Capture capture;
    note_hidden_buckets(capture, "backup", shown, server);
    REQUIRE(capture.warnings.size() == capture.incomplete.size());
    for (std::size_t i = 0; i < capture.warnings.size(); ++i) {
      CHECK(capture.warnings[i] == "not in the backup: " + capture.incomplete[i]);
    }
    return std::pair(capture.incomplete, capture.follow_ups);
  };
  const Names none;
  const std::set<std::string> all{"a-one", "b-two", "photos", "zoo"};
  const auto [hidden, unknown] = noted({all, {}});
  CHECK(hidden == Names{"bucket photos: the credentials of alias backup do not show it",
                        "bucket zoo: the credentials of alias backup do not show it"});
  CHECK(unknown == none);
  CHECK(noted({shown, {}}) == std::pair(none, none));
  CHECK(noted({std::set<std::string>(), {}}) == std::pair(none, none));
  CHECK(noted({{}, 2}) == std::pair(none, none));
  CHECK(noted({{}, 5}).first ==
        Names{"3 of 5 buckets, as the server last counted them: the credentials of alias backup do "
              "not show them"});
  // The directories are of now, the server's count is of its last scan.
  CHECK(noted({shown, 5}) == std::pair(none, none));
  const std::vector<std::optional<std::uint64_t>> too_few{std::nullopt, 0, 1};
  for (const std::optional<std::uint64_t>& count : too_few) {
    const auto [nothing, follow_ups] = noted({{}, count});
    CHECK(nothing == none);
    REQUIRE(follow_ups.size() == 1);
    CHECK(follow_ups[0].starts_with("it is not known whether the credentials of alias backup"));
  }
}

TEST_CASE("minio: which etags are the content's MD5") {
  CHECK(is_md5("d41d8cd98f00b204e9800998ecf8427e"));
  for (const char* bad :
       {"", "d41d8cd98f00b204e9800998ecf8427", "d41d8cd98f00b204e9800998ecf8427e-1",
        "d41d8cd98f00b204e9800998ecf8427g"}) {
    CHECK_FALSE(is_md5(bad));
  }
}

TEST_CASE("minio: keys that are not a path are refused") {
  for (const char* good : {"a", "a/b", "...", "a/.hidden/..b", "a\nb", "-r"}) {
    CAPTURE(good);
    CHECK(bad_key(good).empty());
  }
  for (const std::string& bad :
       {std::string(), std::string("a//b"), std::string("/a"), std::string("a/"),
        std::string("a/../b"), std::string(".."), std::string("a/."), std::string("a\0b", 3)}) {
    CAPTURE(bad);
    CHECK_FALSE(bad_key(bad).empty());
  }
}

TEST_CASE("minio: the capture names what is not in it, and no secret") {
  const service::Target target = test::target("minio", 'D');
  const wire::ExecConfig mc = client(target, "local", {}, "root", "hunter2");
  service::Capture capture = objects_capture(target, mc, "local");
  capture.service = &minio();
  CHECK(capture.strategy == "objects through mc");
  CHECK(capture.consistency == service::Consistency::live);
  REQUIRE(capture.follow_ups.size() == 1);
  CHECK(capture.follow_ups[0].find("policies") != std::string::npos);
  CHECK(capture.facts == Json{{"alias", "local"}, {"mc_environment", {"MC_HOST_local"}}});
  const std::string mc_in = "POST /containers/minio/exec with MC_HOST_local: mc --quiet ";
  CHECK(
      requests(capture) ==
      Names{mc_in + "ls --json local", mc_in + "ls --recursive --summarize --json local",
            mc_in + "cat local/KEY... (many small objects at once; a large one, or one whose etag "
                    "is not an MD5, alone)",
            mc_in +
                "ls --json local/KEY (after reading one whose etag is not an MD5, or that did not "
                "come as it is listed)"});
}
