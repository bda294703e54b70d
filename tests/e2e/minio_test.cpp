// Class D: every object as the server lists it, every way in which one differs, and the files where
// there is no mc to ask.
#include "e2e/minio.hpp"

#include <csignal>
#include <memory>
#include <set>

#include "e2e/fake.hpp"

using namespace e2e;

namespace {

constexpr const char* image = "bba-fixture/minio:1";

// mc as it is, except for `cat` of what the pattern (of a shell's case) matches.
std::string but_cat(const std::string& pattern, const std::string& script) {
  return fmt::format("case \"$*\" in *cat*{}*)\n{}\n;; esac\nexec \"$REAL\" \"$@\"\n", pattern,
                     script);
}

struct Done {
  Json manifest;
  std::string err;
};

// Backs the server up and restores it into an empty one, which must then hold the same. `expected`:
// what it is to hold; by default what it holds now.
Done check_round_trip(
    const MinioServer& server, const std::map<std::string, std::string>& environment,
    const std::optional<std::map<std::string, std::string>>& expected = std::nullopt) {
  E2eFixture fixture;
  const std::string life = life_of(server.container());
  const Ended ended = fixture.bba({"backup", server.container()}, with(environment));
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  CHECK(life_of(server.container()) == life);
  CHECK(fixture.journals() == Strings{});

  Json manifest = fixture.manifest();
  CHECK(manifest.at("class") == "D");
  CHECK(manifest.at("strategy") == "objects through mc");
  CHECK(manifest.at("fallback").is_null());
  CHECK(manifest.at("consistency").at("mode") == "live");
  CHECK(any_has(manifest.at("follow_ups"), "not in it: policies, users"));
  REQUIRE(manifest.at("artifacts").size() == 1);
  const Json& artifact = manifest.at("artifacts")[0];
  CHECK(artifact.at("kind") == "objects");
  CHECK(ended.out == fixture.backups() + "/" + artifact.at("file").get<std::string>() + "\n");

  const auto objects = expected ? *expected : server.objects();
  const Json& found = artifact.at("found");
  CHECK(found.at("objects") == objects.size());
  CHECK(found.at("buckets") == server.buckets().size());
  CHECK(found.at("md5_etags").get<std::size_t>() + found.at("other_etags").get<std::size_t>() ==
        objects.size());
  const Ended verified = fixture.bba({"verify", server.container()});
  INFO(verified.out);
  CHECK(verified.exit_code == 0);

  const MinioServer second(fixture, "second-minio", "no");
  const Ended restored =
      fixture.restore_by_hand(second.container(), {{"MC_HOST_local", MinioServer::credentials()}});
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  CHECK(difference(objects, second.objects()) == "");
  CHECK(second.buckets() == server.buckets());
  return {std::move(manifest), ended.err};
}

void check_fails(const std::string& container,
                 const std::map<std::string, std::string>& environment, int exit_code,
                 const Strings& said) {
  E2eFixture fixture;
  const std::string life = life_of(container);
  const Ended ended = fixture.bba({"backup", container}, with(environment));
  INFO(ended.err);
  CHECK(ended.exit_code == exit_code);
  CHECK(ended.out.empty());
  for (const std::string& part : said) {
    CAPTURE(part);
    CHECK(has(ended.err, part));
  }
  CHECK_FALSE(has(ended.err, std::string(minio_secret)));
  fixture.check_nothing_left();
  CHECK_FALSE(runs_in(container, "/mc "));
  CHECK(life_of(container) == life);
}

void check_files_instead(const std::string& container,
                         const std::map<std::string, std::string>& environment,
                         const std::string& why, const std::string& mode) {
  E2eFixture fixture;
  const std::string life = life_of(container);
  const Ended ended = fixture.bba({"backup", container}, with(environment));
  INFO(ended.err);
  REQUIRE(ended.exit_code == 11);
  CHECK(life_of(container) == life);
  CHECK(has(ended.err, "warning: " + container +
                           ": mounted data archive instead of the class's own procedure: " + why));
  const Json manifest = fixture.manifest();
  CHECK(manifest.at("class") == "D");
  CHECK(manifest.at("strategy") == "mounted data archive");
  CHECK(has(manifest.at("fallback").get<std::string>(), why));
  CHECK(manifest.at("consistency").at("mode") == mode);
  CHECK(manifest.at("consistency").at("paused").size() == (mode == "pause" ? 1 : 0));
  REQUIRE(manifest.at("artifacts").size() == 1);
  CHECK(manifest.at("artifacts")[0].at("source") == "/data");
  const std::string file =
      fixture.backups() + "/" + manifest.at("artifacts")[0].at("file").get<std::string>();
  // All of it, the server's own files as well.
  if (mode != "stopped") CHECK(has(run({"tar", "-tzf", file}).out, "data/.minio.sys/"));
  CHECK(fixture.journals() == Strings{});
  CHECK(fixture.bba({"verify", container}).exit_code == 0);
}

}  // namespace

TEST_CASE(
    "D, all objects of all buckets are backed up, whatever their names, and restored by hand") {
  NEEDS_ENGINE();
  const Done done = check_round_trip(shared_minio(), MinioServer::alias());
  const Json& found = done.manifest.at("artifacts")[0].at("found");
  CHECK(found.at("objects") == 313);
  CHECK(found.at("buckets") == 4);
  CHECK(found.at("other_etags") == 6);  // those that were uploaded in parts
  CHECK(found.at("retaken") == 0);
  CHECK(found.at("vanished") == 0);
}

TEST_CASE("D, the tar has the objects' keys and times, in the order of the listing") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MinioServer& server = shared_minio();
  REQUIRE(
      fixture
          .bba({"backup", server.container(), "--compression", "zstd"}, with(MinioServer::alias()))
          .exit_code == 0);
  const Json artifact = fixture.manifest().at("artifacts")[0];
  const std::string file = fixture.backups() + "/" + artifact.at("file").get<std::string>();
  CHECK(file.ends_with(".tar.zst"));
  Strings files;
  std::string listing;
  const Ended listed = run({"tar", "--utc", "--full-time", "--quoting-style=escape", "-tvf", file});
  for (const std::string_view line : split(listed.out, '\n')) {
    const std::size_t path = line.find(" objects");
    if (path != line.npos && line.front() == '-') files.emplace_back(line.substr(path + 9));
  }
  Strings keys;
  for (const auto& [key, unused] : server.objects()) {
    // As GNU tar shows it.
    keys.push_back(key == "odd/two\nlines" ? "odd/two\\nlines" : key);
  }
  CHECK(files == keys);
  CHECK(has(listed.out, " objects/nothing-in-it/\n"));

  const auto one = parse_json(server.mc({"ls", "--json", "local/documents/scan.bin"}).out);
  REQUIRE(one);
  std::string modified = one->at("lastModified").get<std::string>().substr(0, 19);
  modified[modified.find('T')] = ' ';
  CHECK(has(listed.out, " 5242880 " + modified + " objects/documents/scan.bin\n"));

  // The manifest's facts about the listing can be computed from the server's own listing.
  std::string lines;
  const Ended now = server.mc({"ls", "--recursive", "--json", "local"});
  for (const std::string_view line : split(now.out, '\n')) {
    if (line.empty()) continue;
    const auto json = parse_json(line);
    lines += fmt::format("{} {} {}\n", json->at("etag").get<std::string>(),
                         json->at("size").get<std::uint64_t>(), json->at("key").get<std::string>());
  }
  Setting input;
  input.input = lines;
  CHECK(artifact.at("found").at("listing_sha256") == run({"sha256sum"}, input).out.substr(0, 64));
}

TEST_CASE("D, objects that change or vanish after the listing are read again or left out") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MinioServer server(fixture, "busy-minio");
  const auto once = [](const std::string& key, const std::string& script) {
    return fmt::format(
        "case \"$*\" in *cat*{0}*) [ -e '/tmp/e2e-once{1}' ] || {{ touch '/tmp/e2e-once{1}'\n"
        "{2}\n}} ;; esac\n",
        key, key.substr(key.find_last_of('/') + 1), script);
  };
  auto busy = std::make_unique<FakeProgram>(
      server.container(), "mc",
      once("documents/scan.bin",
           "head -c 3000000 /dev/zero | \"$REAL\" --quiet pipe local/documents/scan.bin") +
          once("small/150.txt", "printf changed | \"$REAL\" --quiet pipe local/small/150.txt") +
          once("small/7.txt", "\"$REAL\" --quiet rm local/small/7.txt") +
          once("documents/photo.raw",
               "\"$REAL\" \"$@\" | head -c 1500000\n"
               "\"$REAL\" --quiet rm local/documents/photo.raw\n"
               "echo 'mc: <ERROR> Unable to read: unexpected EOF.' >&2\n"
               "exit 1") +
          once("documents/empty",
               "printf 'no longer' | \"$REAL\" --quiet pipe local/documents/empty") +
          // The new object has the same length and its etag is not an MD5, and half of the bytes
          // read are old.
          once("documents/in-parts.txt",
               "\"$REAL\" \"$@\" | head -c 10\n"
               "printf 'UPLOADED WITHOUT A KNOWN SIZE' |"
               " \"$REAL\" --quiet pipe local/documents/in-parts.txt\n"
               "\"$REAL\" \"$@\" | tail -c +11\n"
               "exit 0") +
          "exec \"$REAL\" \"$@\"\n");
  const Done done = check_round_trip(server, MinioServer::alias());
  busy.reset();
  const Json& found = done.manifest.at("artifacts")[0].at("found");
  CHECK(found.at("retaken") == 4);
  CHECK(found.at("vanished") == 2);
  const auto replaced = parse_json(server.mc({"ls", "--json", "local/documents/in-parts.txt"}).out);
  REQUIRE(replaced);
  CHECK(found.at("other_etags_by_key").at("documents/in-parts.txt") == replaced->at("etag"));
  CHECK(found.at("objects") == 306);
  CHECK(has(done.err, "2 objects were deleted between listing and reading"));

  const FakeProgram growing(
      server.container(), "mc",
      but_cat(
          "small/42.txt",
          "echo x >>/tmp/e2e-grows; \"$REAL\" --quiet pipe local/small/42.txt </tmp/e2e-grows"));
  check_fails(server.container(), MinioServer::alias(), 6,
              {"the object small/42.txt could not be read as it is listed, 4 times",
               "hint: if it changes all the time"});
}

TEST_CASE("D, an object that differs from its listing: exit 6, naming its key") {
  NEEDS_ENGINE();
  const MinioServer& server = shared_minio();
  const auto fails = [&](const std::string& key, const std::string& script, const Strings& said) {
    const FakeProgram fake(server.container(), "mc", but_cat(key, script));
    Strings all{"the object " + key + " could not be read as it is listed, 4 times", "hint: "};
    all.insert(all.end(), said.begin(), said.end());
    check_fails(server.container(), MinioServer::alias(), 6, all);
  };
  fails("documents/scan.bin", "\"$REAL\" \"$@\" | head -c -1; exit 0", {});
  fails("documents/2023/q4/report.txt", "\"$REAL\" \"$@\" | tr e a; exit 0", {});
  fails("documents/photo.raw",
        "\"$REAL\" \"$@\" | head -c 1500000\n"
        "echo 'mc: <ERROR> Unable to read from `photo.raw`. unexpected EOF.' >&2; exit 1",
        {"unexpected EOF"});
}

TEST_CASE("D, a listing with an error or unknown lines in it: exit 6, whatever mc's exit code") {
  NEEDS_ENGINE();
  const MinioServer& server = shared_minio();
  const auto listing = [](const std::string& script) {
    return "case \"$*\" in *recursive*)\n" + script + "\n;; esac\nexec \"$REAL\" \"$@\"\n";
  };
  const std::string error =
      "printf '{\\n \"status\": \"error\",\\n \"error\": {\\n  \"message\": \"Unable to list "
      "folder.\",\\n  \"cause\": {\\n   \"message\": \"Access Denied.\"\\n  }\\n }\\n}\\n'\n";
  for (const std::string exit_code : {"0", "1"}) {
    CAPTURE(exit_code);
    const FakeProgram fake(server.container(), "mc",
                           listing("\"$REAL\" \"$@\"\n" + error + "exit " + exit_code));
    check_fails(server.container(), MinioServer::alias(), 6,
                {"mc: Unable to list folder: Access Denied."});
  }
  {
    const FakeProgram fake(server.container(), "mc", listing("echo 'Segmentation fault'; exit 0"));
    check_fails(server.container(), MinioServer::alias(), 6,
                {"mc ls printed what is not a listing: Segmentation fault"});
  }
  {
    const FakeProgram fake(server.container(), "mc",
                           listing("\"$REAL\" \"$@\" | head -c 5000; exit 0"));
    check_fails(server.container(), MinioServer::alias(), 6,
                {"mc ls printed what is not a listing: {"});
  }
  // The listing ends after a complete line, as if there were no more.
  {
    const FakeProgram fake(server.container(), "mc",
                           listing("\"$REAL\" \"$@\" | head -n 50; exit 0"));
    check_fails(server.container(), MinioServer::alias(), 6,
                {"mc ls did not end with the totals of its listing"});
  }
  {
    const FakeProgram fake(server.container(), "mc", listing("\"$REAL\" \"$@\" | sed 7d; exit 0"));
    check_fails(server.container(), MinioServer::alias(), 6,
                {"mc ls listed 312 objects of ", ", and its totals are 313 and "});
  }
}

TEST_CASE("D, keys that end in a slash become directories in the tar, with a warning") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MinioServer& server = shared_minio();
  const FakeProgram fake(
      server.container(), "mc",
      "case \"$*\" in *recursive*)\n"
      "printf "
      "'{\"status\":\"success\",\"type\":\"folder\",\"lastModified\":\"2024-01-02T03:04:05Z\","
      "\"size\":0,\"key\":\"documents/folder/\",\"etag\":\"\",\"url\":\"http://"
      "127.0.0.1:9000\"}\\n'\n"
      "\"$REAL\" \"$@\" | sed 's/\"totalObjects\":313/\"totalObjects\":314/'; exit 0\n"
      ";; esac\nexec \"$REAL\" \"$@\"\n");
  const Ended ended = fixture.bba({"backup", server.container()}, with(MinioServer::alias()));
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  CHECK(has(ended.err, "1 keys end in '/'"));
  const Json found = fixture.manifest().at("artifacts")[0].at("found");
  CHECK(found.at("folders") == 1);
  CHECK(found.at("buckets") == 4);
  CHECK(fixture.bba({"verify", server.container()}).exit_code == 0);
}

TEST_CASE("D, no object or bucket name leads out of the tar") {
  NEEDS_ENGINE();
  const MinioServer& server = shared_minio();
  const auto fails = [&](const std::string& listing, const std::string& key,
                         const std::string& said, const std::string& totals) {
    CAPTURE(key);
    const FakeProgram fake(server.container(), "mc",
                           "case \"$*\" in " + listing + ")\n" +
                               "printf '{\"status\":\"success\",\"type\":\"file\",\"lastModified\":"
                               "\"2024-01-02T03:04:05Z\",\"size\":1,\"key\":\"" +
                               key + "\",\"etag\":\"0cc175b9c0f1b6a831c399e269772661\"}\\n" +
                               totals +
                               "'\nexit 0\n"
                               ";; esac\nexec \"$REAL\" \"$@\"\n");
    check_fails(server.container(), MinioServer::alias(), 6,
                {said + key + " cannot be a path in a tar: it has a '..' component"});
  };
  fails("*recursive*", "documents/../../etc/passwd", "the object ",
        "{\"totalObjects\":1,\"totalSize\":1}\\n");
  fails("'--quiet ls --json local'", "..", "the bucket ", "");
}

TEST_CASE("D, an alias that mc does not know, that it takes for a directory, or that is invalid") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  // Its credentials are given nowhere.
  const std::string bare = fixture.start("bare-minio", {}, image);
  for (const std::string alias : {"elsewhere", "data"}) {
    check_fails(bare, {{"MINIO_MC_ALIAS", alias}, {"SUDO_USER", "operator"}}, 6,
                {"mc does not know the alias " + alias + " of MINIO_MC_ALIAS: No such alias",
                 "hint: set MC_HOST_" + alias + "=http://KEY:SECRET@127.0.0.1:9000",
                 "sudo drops it without --preserve-env=MC_HOST_" + alias});
  }
  check_fails(bare, {{"MINIO_MC_ALIAS", "--json"}}, 3, {"is not an alias", "hint: an alias is"});
}

TEST_CASE("D, the mc of these tests answers in the form that was recorded of a real one") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MinioServer server(fixture, "recorded-minio", "no");
  const auto recorded = [](const std::string& name) {
    return run({"cat", std::string(BBA_SOURCE_DIR) + "/fixtures/real/mc/" + name + ".stdout"}).out;
  };
  const auto keys = [](const std::string& text) {
    std::set<std::string> found;
    const auto json = parse_json(text);
    REQUIRE(json);
    for (const auto& [key, value] : json->items()) found.insert(key);
    return found;
  };
  CHECK(keys(server.mc({"alias", "list", "--json", "local"}).out) ==
        keys(recorded("alias-list-from-environment")));
  CHECK(server.mc({"ls", "--json", "backup"}).out.empty());
  const Strings all{"ls", "--recursive", "--summarize", "--json"};
  for (const std::string alias : {"local", "backup"}) {
    Strings arguments = all;
    arguments.push_back(alias);
    CHECK(server.mc(arguments).out == recorded("ls-recursive-empty-server-summarize"));
  }
  const Json counted = parse_json(server.mc({"admin", "info", "--json", "local"}).out).value();
  CHECK(counted.at("info").at("buckets") ==
        parse_json(recorded("admin-info")).value().at("info").at("buckets"));
  const Strings unknown{"docker", "-H",   host(),   "exec",  server.container(), "mc", "--quiet",
                        "alias",  "list", "--json", "backup"};
  const Ended ended = run(unknown);
  CHECK(ended.exit_code == 1);
  const Json error = parse_json(ended.out).value().at("error");
  const Json real = parse_json(recorded("alias-list-unknown")).value().at("error");
  CHECK(error.at("message") == real.at("message"));
  CHECK(error.at("cause").at("message") == real.at("cause").at("message"));
  CHECK(error.at("type") == real.at("type"));
}

TEST_CASE("D, a server without buckets is backed up as an empty one") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MinioServer server(fixture, "empty-minio", "no");
  const Ended ended = fixture.bba({"backup", server.container()}, with(MinioServer::alias()));
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  const Json found = fixture.manifest().at("artifacts")[0].at("found");
  CHECK(found.at("objects") == 0);
  CHECK(found.at("buckets") == 0);
}

TEST_CASE("D, credentials that show one bucket of three: exit 11, naming the others") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MinioServer server(fixture, "shared-minio", "yes",
                           {"--env", "MINIO_STANDIN_READER=reader:readerpass:documents"});
  const auto reader = with(
      {{"MINIO_MC_ALIAS", "mine"}, {"MC_HOST_mine", "http://reader:readerpass@127.0.0.1:9000"}});
  const Strings missing{"bucket nothing-in-it: the credentials of alias mine do not show it",
                        "bucket small: the credentials of alias mine do not show it"};
  const Ended planned = fixture.bba({"plan", server.container()}, reader);
  CHECK(planned.exit_code == 0);
  CHECK(has(planned.out, "incomplete   " + missing[0] + "\n"));
  const auto plan = parse_json(fixture.bba({"plan", server.container(), "--json"}, reader).out);
  REQUIRE(plan);
  CHECK(plan->at("incomplete") == missing);

  const Ended ended = fixture.bba({"backup", server.container()}, reader);
  INFO(ended.err);
  CHECK(ended.exit_code == 11);
  for (const std::string& one : missing) {
    CHECK(has(ended.err, "warning: " + server.container() + ": not in the backup: " + one));
  }
  CHECK_FALSE(has(ended.err, "readerpass"));
  const Json manifest = fixture.manifest();
  CHECK(manifest.at("incomplete") == missing);
  CHECK(manifest.at("artifacts")[0].at("found").at("buckets") == 1);
  CHECK_FALSE(any_has(manifest.at("follow_ups"), "it is not known whether the credentials"));

  E2eFixture whole;
  CHECK(whole.bba({"backup", server.container()}, with(MinioServer::alias())).exit_code == 0);
  CHECK(whole.manifest().at("incomplete") == Json::array());
}

TEST_CASE(
    "D, data that this host cannot read: the server's own count of its buckets, or a follow-up") {
  NEEDS_ENGINE();
  E2eFixture servers;
  const MinioServer server(
      servers, "tmpfs-minio", "yes",
      {"--tmpfs", "/data", "--env", "MINIO_STANDIN_READER=reader:readerpass:documents"});
  const auto backed_up = [&](const std::map<std::string, std::string>& environment, int exit_code) {
    E2eFixture fixture;
    const Ended ended = fixture.bba({"backup", server.container()}, with(environment));
    INFO(ended.err);
    REQUIRE(ended.exit_code == exit_code);
    return fixture.manifest();
  };
  const std::string unknown = "it is not known whether the credentials of alias";
  const Json whole = backed_up(MinioServer::alias(), 0);
  CHECK(whole.at("incomplete") == Json::array());
  CHECK_FALSE(any_has(whole.at("follow_ups"), unknown));
  // A user who is not an administrator gets no count.
  const Json part = backed_up(
      {{"MINIO_MC_ALIAS", "mine"}, {"MC_HOST_mine", "http://reader:readerpass@127.0.0.1:9000"}}, 0);
  CHECK(part.at("incomplete") == Json::array());
  CHECK(any_has(part.at("follow_ups"), unknown));
  const FakeProgram fake(server.container(), "mc",
                         "case \"$*\" in *'admin info'*) \"$REAL\" \"$@\" |"
                         " sed 's/\"buckets\":{\"count\":3}/\"buckets\":{\"count\":5}/'; exit 0 ;; "
                         "esac\nexec \"$REAL\" \"$@\"\n");
  CHECK(
      backed_up(MinioServer::alias(), 11).at("incomplete") ==
      Strings{"2 of 5 buckets, as the server last counted them: the credentials of alias local do "
              "not show them"});
}

TEST_CASE("D, restoring by hand to an alias that mc does not know creates no directory") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  REQUIRE(
      fixture.bba({"backup", shared_minio().container()}, with(MinioServer::alias())).exit_code ==
      0);
  const MinioServer target(fixture, "restored-minio", "no");
  const Ended restored = fixture.restore_by_hand(target.container());
  CHECK(restored.exit_code == 2);
  CHECK(has(restored.err, "set MC_HOST_local in your environment"));
  CHECK(target.buckets() == Strings{});
}

TEST_CASE("D, the operator's own credentials: good, wrong, and of a server that is down") {
  NEEDS_ENGINE();
  const std::string container = shared_minio().container();
  const std::string good = MinioServer::credentials();
  {
    E2eFixture fixture;
    const Ended ended = fixture.bba({"backup", container},
                                    with({{"MINIO_MC_ALIAS", "mine"}, {"MC_HOST_mine", good}}));
    INFO(ended.err);
    CHECK(ended.exit_code == 0);
    CHECK(any_has(fixture.manifest().at("artifacts")[0].at("restore"), "set MC_HOST_mine="));
  }
  check_fails(
      container, {{"MINIO_MC_ALIAS", "mine"}, {"MC_HOST_mine", "http://operator:x@127.0.0.1:9000"}},
      6, {"mc ls mine failed", "The request signature we calculated does not match", "hint: "});
  check_fails(container,
              {{"MINIO_MC_ALIAS", "mine"},
               {"MC_HOST_mine", fmt::format("http://operator:{}@127.0.0.1:9009", minio_secret)}},
              6, {"mc ls mine failed", "connection refused", "without MINIO_MC_ALIAS the files"});
}

TEST_CASE("D, without an alias or mc, or paused or stopped: the files are archived instead") {
  NEEDS_ENGINE();
  const MinioServer& server = shared_minio();
  check_files_instead(server.container(), {{"SUDO_USER", "somebody"}},
                      "no objects through mc, as MINIO_MC_ALIAS is not set in your environment; "
                      "sudo drops it without --preserve-env=MINIO_MC_ALIAS",
                      "pause");
  {
    const HiddenProgram hidden(server.container(), "mc");
    check_files_instead(server.container(), MinioServer::alias(),
                        "no objects through mc, as mc could not be started", "pause");
  }
  docker({"pause", server.container()});
  check_files_instead(server.container(), MinioServer::alias(),
                      "no objects through mc, as the container is paused", "paused");
  CHECK(paused(server.container()));
  docker({"unpause", server.container()});
  E2eFixture fixture;
  const std::string stopped = fixture.create("stopped-minio", {}, image);
  check_files_instead(stopped, MinioServer::alias(),
                      "no objects through mc, as the container is created", "stopped");

  const std::string no_mount = fixture.start("no-mount", {}, "bba-fixture/files:1");
  const Ended ended = fixture.bba({"backup", no_mount, "--class", "D"});
  CHECK(ended.exit_code == 4);
  CHECK(has(ended.err, "MINIO_MC_ALIAS is not set in your environment: container " + no_mount +
                           " has no mount that holds data"));
  fixture.check_nothing_left();
}

TEST_CASE("D, small objects are read many at a time, and one without an MD5 is read alone") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MinioServer& server = shared_minio();
  const EventLog log({server.container()});
  REQUIRE(fixture.bba({"backup", server.container()}, with(MinioServer::alias())).exit_code == 0);
  Strings small;
  Strings in_parts;
  std::size_t keys = 0;
  for (const std::string& event : log.events()) {
    if (!event.starts_with("exec_create: mc --quiet cat ")) continue;
    if (has(event, "local/small/")) small.push_back(event);
    if (has(event, "in-parts.txt")) in_parts.push_back(event);
    for (const std::string_view word : split(event, ' ')) keys += word.starts_with("local/small/");
  }
  CHECK(keys == 300);
  CHECK(small.size() <= 3);
  CHECK(in_parts ==
        Strings{"exec_create: mc --quiet cat local/documents/in-parts.txt " + server.container()});
}

TEST_CASE("D, plan shows exactly the requests that backup sends, in their order") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MinioServer& server = shared_minio();
  const auto programs_of = [&](const Strings& arguments) {
    const EventLog log({server.container()});
    const Ended ended = fixture.bba(arguments, with(MinioServer::alias()));
    REQUIRE(ended.exit_code == 0);
    Strings programs;
    for (const std::string& event : log.events()) {
      constexpr std::string_view head = "exec_create: ";
      if (event.starts_with(head)) programs.push_back(event.substr(head.size()));
      // Nothing is paused, and nothing is read other than through mc.
      CHECK_FALSE(event.starts_with("pause"));
      CHECK_FALSE(event.starts_with("archive-path"));
    }
    return std::pair(programs, ended.out);
  };
  const auto [asked, planned] = programs_of({"plan", server.container(), "--json"});
  Strings made = programs_of({"backup", server.container()}).first;
  // Backup starts with plan's requests.
  REQUIRE(made.size() > asked.size());
  REQUIRE(std::equal(asked.begin(), asked.end(), made.begin()));
  made.erase(made.begin(), made.begin() + static_cast<std::ptrdiff_t>(asked.size()));

  const auto plan = parse_json(planned);
  REQUIRE(plan);
  const std::string head = "POST /containers/" + server.container() + "/exec with MC_HOST_local: ";
  Strings requests;
  for (const Json& one : plan->at("requests")) {
    const std::string request = one;
    REQUIRE(request.starts_with(head));
    // KEY is each object's key; the text in brackets says when.
    const std::string argv = request.substr(head.size(), request.find(" (") - head.size());
    requests.push_back(argv.substr(0, argv.find("KEY")));
  }
  REQUIRE(requests == Strings{"mc --quiet ls --json local",
                              "mc --quiet ls --recursive --summarize --json local",
                              "mc --quiet cat local/", "mc --quiet ls --json local/"});
  REQUIRE(made.size() > 2);
  CHECK(made[0] == requests[0] + " " + server.container());
  CHECK(made[1] == requests[1] + " " + server.container());
  std::size_t cats = 0;
  std::size_t listings = 0;
  for (std::size_t i = 2; i < made.size(); ++i) {
    CAPTURE(made[i]);
    const bool cat = made[i].starts_with(requests[2]);
    const bool listing = made[i].starts_with(requests[3]);
    CHECK((cat || listing));
    cats += cat;
    listings += listing;
  }
  CHECK(cats > 6);
  CHECK(listings == 6);  // one for each etag that is not an MD5
}

TEST_CASE("D, a container with a read-only root file system is backed up") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string container =
      fixture.start("readonly-minio",
                    {"--read-only", "--tmpfs", "/run", "--env", "MINIO_ROOT_USER=operator", "--env",
                     "MINIO_ROOT_PASSWORD=operator-secret"},
                    image);
  const Strings mc{"exec",
                   "-e",
                   "MC_CONFIG_DIR=/dev/shm/other",
                   "-e",
                   "MC_HOST_local=http://operator:operator-secret@127.0.0.1:9000",
                   container,
                   "mc"};
  Strings make = mc;
  make.insert(make.end(), {"mb", "local/one"});
  wait_until("a bucket", 10s, [&] {
    Strings argv{"docker", "-H", host()};
    argv.insert(argv.end(), make.begin(), make.end());
    return run(argv).exit_code == 0;
  });
  const Ended ended = fixture.bba({"backup", container}, with(MinioServer::alias()));
  INFO(ended.err);
  CHECK(ended.exit_code == 0);
  CHECK(fixture.manifest().at("artifacts")[0].at("found").at("buckets") == 1);
}

TEST_CASE("D, the backup directory's file system is full: exit 8") {
  NEEDS_ENGINE();
  const MinioServer& server = shared_minio();
  for (const std::string size : {"16k", "1m", "6m"}) {
    CAPTURE(size);
    E2eFixture fixture;
    fixture.small_backup_directory(size);
    const Ended ended = fixture.bba({"backup", server.container()}, with(MinioServer::alias()));
    INFO(ended.err);
    CHECK(ended.exit_code == 8);
    CHECK(ended.out.empty());
    CHECK(has(ended.err, "No space left on device"));
    fixture.check_nothing_left();
    CHECK_FALSE(runs_in(server.container(), "/mc "));
  }
}

TEST_CASE("D, killed half way: the run by SIGTERM and SIGKILL, then the container") {
  NEEDS_ENGINE();
  E2eFixture servers;
  const MinioServer server(servers, "killed-minio");
  const WaitingProgram waiting(server.container(), "mc", "*cat*scan.bin*", 2000000);
  const std::string life = life_of(server.container());
  ::setenv("MINIO_MC_ALIAS", "local", 1);
  for (const int signal : {SIGTERM, SIGKILL}) {
    CAPTURE(signal);
    E2eFixture fixture;
    Process run = fixture.begin({"backup", server.container()});
    waiting.wait_until_half_way(run);
    REQUIRE(runs_in(server.container(), "/mc "));
    run.signal(signal);
    CHECK(run.wait(10s).exit_code == (signal == SIGTERM ? 143 : -SIGKILL));
    wait_until("the program inside has ended", 6s,
               [&] { return !runs_in(server.container(), "/mc "); });
    wait_until("the guard has ended", 10s, [&] { return !fixture.guard(); });
    fixture.check_nothing_left();
    CHECK(life_of(server.container()) == life);
  }
  E2eFixture fixture;
  Process run = fixture.begin({"backup", server.container()});
  waiting.wait_until_half_way(run);
  docker({"kill", server.container()});
  const Ended ended = run.wait(60s);
  INFO(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(ended.out.empty());
  fixture.check_nothing_left();
  docker({"start", server.container()});
  ::unsetenv("MINIO_MC_ALIAS");
}

TEST_CASE(
    "D, the secret is in no output, no manifest and no argv, and plan shows backup's request") {
  NEEDS_ENGINE();
  const MinioServer& server = shared_minio();
  E2eFixture fixture;
  const EventLog log({server.container()});
  const std::string secret(minio_secret);
  for (const Strings& arguments : {Strings{"-v", "plan", server.container()},
                                   Strings{"-v", "plan", server.container(), "--json"},
                                   Strings{"-v", "backup", server.container(), "--json"}}) {
    const Ended ended = fixture.bba(arguments, with(MinioServer::alias()));
    REQUIRE(ended.exit_code == 0);
    CHECK_FALSE(has(ended.out, secret));
    CHECK_FALSE(has(ended.err, secret));
    if (arguments.back() == server.container()) {
      CHECK(has(ended.out,
                "exec with MC_HOST_local: mc --quiet ls --recursive --summarize --json local"));
    }
  }
  CHECK_FALSE(has(pretty_json(fixture.manifest()), secret));
  const std::string events = join(log.events(), "\n");
  REQUIRE(has(events, "exec_create: mc --quiet ls --recursive --summarize --json local"));
  CHECK_FALSE(has(events, secret));
}
