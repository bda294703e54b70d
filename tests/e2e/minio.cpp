#include "e2e/minio.hpp"

namespace e2e {

MinioServer::MinioServer(E2eFixture& fixture, const std::string& what, const std::string& filled,
                         const Strings& options)
    : container_(fixture.name(what)) {
  fixture.adopt(container_);
  Strings argv{std::string(BBA_SOURCE_DIR) + "/fixtures/start-minio", container_};
  argv.insert(argv.end(), options.begin(), options.end());
  Setting setting;
  setting.environment = {{"BBA_MINIO_FILLED", filled},
                         {"BBA_MINIO_SECRET", std::string(minio_secret)}};
  const Ended ended = run(argv, setting);
  if (ended.exit_code != 0) throw std::runtime_error("starting a MinIO: " + ended.err);
}

std::string MinioServer::credentials() {
  return fmt::format("http://operator:{}@127.0.0.1:9000", minio_secret);
}

Ended MinioServer::mc(const Strings& arguments, const std::string& input) const {
  Strings argv{"docker",   "-H", host(),   "exec", "-i", "-e", "MC_HOST_local=" + credentials(),
               container_, "mc", "--quiet"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Setting setting;
  setting.input = input;
  Ended ended = run(argv, setting);
  if (ended.exit_code != 0) {
    throw std::runtime_error(
        fmt::format("mc {}: {}{}", join(arguments, " "), ended.out, ended.err));
  }
  return ended;
}

// Compared by etag where that is the MD5; a restored object's always is.
std::map<std::string, std::string> MinioServer::objects() const {
  std::map<std::string, std::string> objects;
  const Ended listed = mc({"ls", "--recursive", "--json", "local"});
  for (const std::string_view line : split(trimmed(listed.out), '\n')) {
    if (line.empty()) continue;
    const auto json = parse_json(line);
    if (!json) throw std::runtime_error("no listing: " + std::string(line));
    const std::string key = json->at("key");
    std::string etag = json->at("etag");
    if (etag.find('-') != etag.npos) {
      Setting setting;
      setting.input = mc({"cat", "local/" + key}).out;
      etag = run({"md5sum"}, setting).out.substr(0, 32);
    }
    objects.emplace(key, fmt::format("{} {}", json->at("size").get<std::uint64_t>(), etag));
  }
  return objects;
}

Strings MinioServer::buckets() const {
  Strings buckets;
  const Ended listed = mc({"ls", "--json", "local"});
  for (const std::string_view line : split(trimmed(listed.out), '\n')) {
    if (const auto json = parse_json(line)) buckets.push_back(json->at("key"));
  }
  return buckets;
}

const MinioServer& shared_minio() {
  static E2eFixture fixture;
  static const MinioServer server = [] {
    MinioServer made(fixture, "minio");
    made.mc({"mb", "local/odd"});
    for (const std::string key :
         {"two\nlines", "a 'quoted' \"key\"", "$HOME/`id`", "ünï/☃", "-r"}) {
      made.mc({"pipe", "local/odd/" + key}, "content of " + key);
    }
    return made;
  }();
  return server;
}

}  // namespace e2e
