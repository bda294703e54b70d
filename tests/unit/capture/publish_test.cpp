// The order in which a set's files get their names.
#include <sys/inotify.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "bba/capture/execute.hpp"
#include "unit/session.hpp"

namespace bba::capture {
namespace {

using namespace test;
using Names = std::vector<std::string>;

// The names that appear in a directory, in order.
class Arrivals {
 public:
  explicit Arrivals(const std::string& directory) : fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    REQUIRE(fd_);
    REQUIRE(::inotify_add_watch(fd_.get(), directory.c_str(), IN_CREATE | IN_MOVED_TO) >= 0);
  }

  Names names() const {
    Names names;
    alignas(inotify_event) char buffer[16 * 1024];
    ssize_t length = 0;
    while ((length = ::read(fd_.get(), buffer, sizeof buffer)) > 0) {
      for (const char* at = buffer; at < buffer + length;) {
        const auto* event = reinterpret_cast<const inotify_event*>(at);
        names.emplace_back(event->name);
        at += sizeof *event + event->len;
      }
    }
    return names;
  }

 private:
  Fd fd_;
};

CapturedSet captured(const store::OwnedDirectory& directory, const std::string& module) {
  CapturedSet set;
  set.manifest.module = module;
  set.manifest.module_class = "E";
  set.manifest.started = set.manifest.finished = noon;
  for (const std::string part : {"one", "two"}) {
    store::ArtifactRecord artifact;
    artifact.part = part;
    artifact.file = store::artifact_name(module, noon, part, "tar.gz");
    artifact.compression = "gzip";
    artifact.sha256 = std::string(64, '0');
    set.manifest.artifacts.push_back(artifact);
    set.files.emplace_back(directory);
    set.files.back().sync();
  }
  return set;
}

}  // namespace

TEST_CASE("no manifest has a name before every artifact of every set has one") {
  BackupFixture fixture;
  const auto directory = store::OwnedDirectory::open_existing(fixture.backups());
  std::vector<CapturedSet> sets;
  sets.push_back(captured(directory, "db"));
  sets.push_back(captured(directory, "web"));
  const Arrivals arrivals(fixture.backups());
  publish(sets, directory);
  const Names names = arrivals.names();
  REQUIRE(names.size() == 6);
  for (std::size_t i = 0; i < names.size(); ++i) {
    CAPTURE(names[i]);
    CHECK(names[i].ends_with(".manifest.json") == (i >= 4));
  }
}

}  // namespace bba::capture
