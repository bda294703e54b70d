#include "restore/artifact_source.hpp"

#include "unit/session.hpp"

namespace bba::restore {
namespace {

using namespace test;
using namespace std::chrono_literals;

struct Artifact {
  Artifact(const Content& content, pipe::Compression compression) {
    record = put_set(fixture, "kuma", noon, {{"", content, compression}}).artifacts.at(0);
  }

  std::string all(ArtifactSource::Middle middle = {}) const {
    ArtifactSource source(fixture.stop, directory, record, std::move(middle));
    std::string text;
    while (const auto chunk = source.next()) text += chunk->text();
    CHECK_FALSE(source.next());
    return text;
  }

  BackupFixture fixture;
  store::OwnedDirectory directory = store::OwnedDirectory::open_existing(fixture.backups());
  store::ArtifactRecord record;
};

}  // namespace

TEST_CASE("an artifact's content comes out as it went in") {
  // More than the buffer between the two threads.
  const Content large{"sql", std::string(20'000'000, 'x'), Json::object()};
  CHECK(Artifact(large, pipe::Compression::gzip).all() == large.bytes);
  for (const Content& content : {tar_content(), Content{"tar", "", Json::object()}}) {
    CHECK(Artifact(content, pipe::Compression::gzip).all() == content.bytes);
    CHECK(Artifact(content, pipe::Compression::zstd).all() == content.bytes);
  }
  CHECK(Artifact(snapshot_content(), pipe::Compression::none).all() == snapshot_content().bytes);
}

TEST_CASE("a check in between sees the whole content, and its error is thrown") {
  const Artifact artifact(tar_content(), pipe::Compression::gzip);
  const Artifact other(sql_content(), pipe::Compression::gzip);
  class Visitor : public pipe::TarVisitor {
   public:
    bool entry(const pipe::TarEntry&) override { return ++entries != 0; }
    void data(const Chunk&) override {}
    void entry_end() override {}
    int entries = 0;
  } visitor;
  const auto reader = [&](pipe::Stage& next) {
    return std::make_unique<pipe::TarReader>(visitor, &next);
  };
  CHECK(artifact.all(reader) == tar_content().bytes);
  CHECK(visitor.entries == 7);
  CHECK(thrown_by([&] { other.all(reader); }).kind == ErrorKind::artifact);
}

TEST_CASE("reading a damaged artifact ends with an error, not as if it were complete") {
  const Artifact artifact(sql_content(), pipe::Compression::gzip);
  const std::string path = artifact.fixture.path(artifact.record.file);
  const std::string stored = read_file(path);
  for (const std::string& broken :
       {stored.substr(0, stored.size() / 2), stored.substr(0, stored.size() - 1), stored + "x"}) {
    write_file(path, broken);
    CHECK(thrown_by([&] { artifact.all(); }).kind == ErrorKind::artifact);
  }
}

TEST_CASE("a reader that stops early does not wait for the rest") {
  const Artifact artifact({"sql", std::string(40'000'000, 'x'), Json::object()},
                          pipe::Compression::gzip);
  ArtifactSource source(artifact.fixture.stop, artifact.directory, artifact.record);
  CHECK(source.next());
}

TEST_CASE("a time limit ends the reading") {
  Artifact artifact({"sql", std::string(1'000'000, 'x'), Json::object()}, pipe::Compression::gzip);
  ArtifactSource source(artifact.fixture.stop, artifact.directory, artifact.record);
  CHECK(source.next());
  artifact.fixture.stop.set_time_limit(0s);
  CHECK(thrown_by([&] { source.drain(); }).kind == ErrorKind::timeout);
}

}  // namespace bba::restore
