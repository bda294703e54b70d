// Class D: the client's credentials, its listings in pieces of any size, and keys that are no
// paths.
#include "bba/classes/minio.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"
#include "unit/classes/support.hpp"

using namespace bba;
using namespace bba::classes;
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

Names keys_of(const std::string& text, std::size_t step) {
  Names keys;
  ObjectListing listing([&](const ObjectEntry& entry) { keys.push_back(entry.key); });
  for (std::size_t at = 0; at < text.size(); at += step) listing.add(text.substr(at, step));
  listing.end();
  return keys;
}

// What it throws, as "kind: words".
std::string failure_of(const std::string& text, std::size_t step = 1000) {
  try {
    keys_of(text, step);
  } catch (const Error& thrown) {
    return thrown.what();
  }
  return {};
}

}  // namespace

TEST_CASE("minio: the operator's credentials, else the container's root user, as they are") {
  const Target target = test::target("minio", 'D');
  const auto client = [&](const std::map<std::string, std::string>& environment,
                          const std::optional<std::string>& user,
                          const std::optional<std::string>& password) {
    const wire::ExecConfig mc = minio_client(target, "local", environment, user, password);
    CHECK(mc.argv == Names{"mc", "--quiet"});
    return environment_of(mc);
  };
  CHECK(client({{"MC_HOST_local", "https://k:s@host"}}, "root", "secret") ==
        "MC_HOST_local=https://k:s@host");
  // mc decodes nothing.
  CHECK(client({}, "root", "s%41@/#ü") == "MC_HOST_local=http://root:s%41@/#ü@127.0.0.1:9000");
  CHECK(client({{"MC_HOST_other", "https://k:s@host"}}, {}, {}).empty());
  CHECK(client({}, "root", {}).empty());
  // mc would take what follows the colon for a session token.
  CHECK(client({}, "root", "with:colon").empty());
}

TEST_CASE("minio: a read-only root file system has no place for mc's configuration") {
  Target target = test::target("minio", 'D');
  target.container.readonly_rootfs = true;
  target.operator_env = {{"MC_REGION", "eu"}};
  CHECK(environment_of(minio_client(target, "a", {}, {}, {})) ==
        "MC_CONFIG_DIR=/dev/shm/.mc, MC_REGION=eu");
}

TEST_CASE("minio: what an alias may be") {
  for (const char* good : {"a", "local", "My-minio_2"}) CHECK(valid_alias(good));
  for (const char* bad : {"", "-r", "--json", "2a", "a b", "a/b", "a.b", "ä", "_a", "a\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(valid_alias(bad));
  }
}

TEST_CASE("minio: an object's line") {
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

TEST_CASE("minio: what lies in a directory is no object") {
  try {
    parse_object_line(R"({"status":"success","type":"folder","key":"etc/","url":"/"})");
    FAIL("a directory was taken for a server");
  } catch (const Error& thrown) {
    CHECK(thrown.kind() == ErrorKind::config);
  }
}

TEST_CASE("minio: a listing, cut everywhere") {
  const std::string text = object + "\n\n" + object + "\n";
  for (std::size_t step = 1; step < text.size(); ++step) {
    CHECK(keys_of(text, step) == Names{"documents/a b.txt", "documents/a b.txt"});
  }
  CHECK(keys_of(object, 7).size() == 1);  // without a newline at the end
  CHECK(keys_of("", 1).empty());
}

TEST_CASE("minio: an error in a listing, whatever stands around it") {
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

TEST_CASE("minio: what is no listing") {
  CHECK(failure_of("Segmentation fault\n") ==
        "mc ls printed what is no listing: Segmentation fault");
  CHECK(failure_of(object.substr(0, 50)).starts_with("mc ls printed what is no listing: {"));
  CHECK(failure_of(object + "\n" + object.substr(0, 50) + "\n")
            .starts_with("mc ls printed what is no listing: {"));
  CHECK(failure_of("{}\n") == "mc ls printed what is no listing: {}");
  // Bounded, however it is divided.
  CHECK_FALSE(failure_of("{" + std::string(100'000, ' '), 100).empty());
  CHECK_FALSE(failure_of("{" + std::string(100'000, '\n'), 100'001).empty());
}

TEST_CASE("minio: which etags are the content's MD5") {
  CHECK(is_md5("d41d8cd98f00b204e9800998ecf8427e"));
  for (const char* bad :
       {"", "d41d8cd98f00b204e9800998ecf8427", "d41d8cd98f00b204e9800998ecf8427e-1",
        "d41d8cd98f00b204e9800998ecf8427g"}) {
    CHECK_FALSE(is_md5(bad));
  }
}

TEST_CASE("minio: keys that are no path") {
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
  const Target target = test::target("minio", 'D');
  const wire::ExecConfig mc = minio_client(target, "local", {}, "root", "hunter2");
  const Capture capture = minio_objects(target, mc, "local");
  CHECK(capture.strategy == "objects through mc");
  CHECK(capture.consistency == Consistency::live);
  REQUIRE(capture.follow_ups.size() == 1);
  CHECK(capture.follow_ups[0].find("policies") != std::string::npos);
  const std::string mc_in = "POST /containers/minio/exec with MC_HOST_local: mc --quiet ";
  CHECK(
      requests(capture) ==
      Names{mc_in + "ls --json local", mc_in + "ls --recursive --json local",
            mc_in + "cat local/KEY... (many small objects at once; a large one, or one whose etag "
                    "is no MD5, alone)",
            mc_in + "ls --json local/KEY (after reading one whose etag is no MD5, or that did not "
                    "come as it is listed)"});
}
