#include "container_target.hpp"

#include <chrono>
#include <thread>

#include "artifact_source.hpp"
#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/pipe/pump.hpp"
#include "bba/pipe/tar.hpp"
#include "bba/run/target.hpp"
#include "bba/service/asking.hpp"
#include "bba/tree/tree_comparer.hpp"
#include "feed_exec.hpp"
#include "live_feed.hpp"
#include "put_tar.hpp"

namespace bba::restore {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::size_t most_answers = 64 << 20;

// For programs that are silent while they work, as when a large index is made: only a request to
// stop, the time limit, or the container's end ends them.
docker::Engine patient_engine(const run::Session& session) {
  docker::Limits limits = session.settings.limits;
  limits.silence = std::chrono::hours(24);
  return docker::Engine(docker::socket_path(session.settings.host), limits, &session.stop);
}

ArtifactSource::Middle walked_by(tree::EntryWalk& walk) {
  return [&walk](pipe::Stage& next) { return std::make_unique<pipe::TarReader>(walk, &next); };
}

// Reads back what was restored.
void read_restored(const ScratchContext& context, const std::string& scratch,
                   const std::string& path, tree::EntryWalk& walk, const std::string& label) {
  run::Session& session = context.session;
  Progress progress{label, 0, {}};
  pipe::TarReader reader(walk, nullptr);
  try {
    docker::Body body = session.engine.get_archive(scratch, path);
    pipe::pump([&] { return body.read(); }, reader,
               [&](std::size_t bytes) {
                 progress.bytes += bytes;
                 session.reporter.progress(progress);
               });
    reader.finish();
  } catch (const docker::ApiError& error) {
    if (error.status() != 404) throw;
    throw Error(ErrorKind::artifact, fmt::format("restored, it has no {}", path));
  } catch (Error& error) {
    // Of the engine's tar, not of ours.
    if (error.kind() == ErrorKind::artifact) error.with_kind(ErrorKind::engine);
    error.in("reading what was restored");
    throw;
  }
}

// The first entry of the artifact, in its own order, that did not come back as it was.
std::string first_difference(const ScratchContext& context, const std::string& scratch,
                             const std::string& path, const store::ArtifactRecord& record,
                             const tree::TreeComparer& comparer) {
  const std::set<tree::EntryDigest> differing = comparer.differing();
  std::optional<tree::EntryFacts> lost;
  int times = 0;
  tree::EntryWalk in_artifact([&](const pipe::TarEntry& entry, const std::string& content) {
    if (!lost && differing.contains(tree::digest_of_path(entry.path))) {
      lost = tree::EntryFacts{entry, content};
    }
    if (lost && entry.path == lost->entry.path) ++times;
  });
  ArtifactSource(context.session.stop, context.directory, record, walked_by(in_artifact)).drain();
  if (!lost) {
    return fmt::format("{} came back, which is not in the artifact", comparer.first_unexpected());
  }
  const std::string& first = lost->entry.path;
  if (times > 1) return fmt::format("{} is in the artifact {} times", first, times);

  std::optional<tree::EntryFacts> restored;
  tree::EntryWalk in_scratch([&](const pipe::TarEntry& entry, const std::string& content) {
    if (entry.path == first) restored = tree::EntryFacts{entry, content};
  });
  read_restored(context, scratch, path, in_scratch, "looking for " + first);
  if (!restored) return first + " did not come back";
  return first + ": " + tree::entry_difference(*lost, *restored);
}

void put_artifact(const ScratchContext& context, const std::string& scratch,
                  const std::string& parent, const store::ArtifactRecord& record,
                  ArtifactSource& source) {
  run::Session& session = context.session;
  Progress progress{"restoring " + record.file, 0, record.uncompressed_bytes};
  try {
    session.engine.put_archive(scratch, parent, [&] {
      std::optional<Chunk> chunk = source.next();
      if (chunk) {
        progress.bytes += chunk->size();
        session.reporter.progress(progress);
      }
      return chunk;
    });
  } catch (docker::ApiError& error) {
    const std::string_view words = error.what();
    if (words.find("no space left") == words.npos) error.with_kind(ErrorKind::artifact);
    error.in("extracting it into the scratch container");
    throw;
  }
  session.reporter.progress_end();
}

}  // namespace

ContainerTarget::ContainerTarget(const ScratchContext& context, const std::string& scratch,
                                 const store::ArtifactRecord& record, bool implied_directories)
    : context_(context),
      id_(scratch),
      record_(record),
      implied_directories_(implied_directories),
      settings_(run::module_settings(context.session.settings.config, context.manifest.module)) {}

docker::Engine& ContainerTarget::engine() {
  if (!engine_) engine_.emplace(patient_engine(context_.session));
  return *engine_;
}

// A first start makes a database cluster, or loads a large file, on a busy disk.
void ContainerTarget::start(const std::function<bool()>& answers, std::chrono::seconds patience) {
  run::Session& session = context_.session;
  session.engine.start(id_);
  const auto deadline = Clock::now() + patience;
  for (;;) {
    try {
      if (answers()) return;
    } catch (const docker::ApiError&) {
      // It may have ended meanwhile: the check below tells.
    }
    const wire::Container now = session.engine.inspect(id_);
    if (!now.running || Clock::now() > deadline) {
      const std::string log = session.engine.logs(id_, 5);
      throw Error(ErrorKind::capture,
                  fmt::format("the scratch container {}: {}",
                              now.running ? "does not answer" : "does not stay up", trimmed(log)),
                  "it runs what the live container runs, without network and with little memory: "
                  "does it need more (--memory), or another container?");
    }
    session.stop.throw_if_requested();
    std::this_thread::sleep_for(100ms);
  }
}

docker::ExecResult ContainerTarget::run(const wire::ExecConfig& program) {
  return engine().run(id_, program);
}

service::FeedResult ContainerTarget::feed(const wire::ExecConfig& program,
                                          const service::StageMaker& filter) {
  ArtifactSource source(context_.session.stop, context_.directory, record_, filter);
  Progress progress{"restoring " + record_.file, 0, record_.uncompressed_bytes};
  service::FeedResult result = feed_exec(
      engine(), id_, program,
      [&] {
        std::optional<Chunk> chunk = source.next();
        if (chunk) {
          progress.bytes += chunk->size();
          context_.session.reporter.progress(progress);
        }
        return chunk;
      },
      most_answers);
  context_.session.reporter.progress_end();
  return result;
}

service::FeedResult ContainerTarget::feed_text(const wire::ExecConfig& program,
                                               const std::string& text) {
  bool told = false;
  return feed_exec(
      engine(), id_, program,
      [&]() -> std::optional<Chunk> {
        if (told) return std::nullopt;
        told = true;
        return Chunk::copy_of(text);
      },
      most_answers);
}

void ContainerTarget::read_artifact(const service::StageMaker& stage) {
  ArtifactSource(context_.session.stop, context_.directory, record_, stage).drain();
}

std::unique_ptr<service::OpenFeed> ContainerTarget::open_feed(const wire::ExecConfig& program) {
  return std::make_unique<LiveFeed>(engine(), context_, id_, program);
}

void ContainerTarget::pass_artifact(pipe::Stage& stage) {
  ArtifactSource source(context_.session.stop, context_.directory, record_);
  Progress progress{"reading " + record_.file, 0, record_.uncompressed_bytes};
  while (const std::optional<Chunk> chunk = source.next()) {
    stage.write(*chunk);
    progress.bytes += chunk->size();
    context_.session.reporter.progress(progress);
  }
  stage.finish();
  context_.session.reporter.progress_end();
}

void ContainerTarget::put_tree(const std::string& path) {
  tree::TreeComparer comparer(implied_directories_);
  {
    tree::EntryWalk expected([&](const pipe::TarEntry& entry, const std::string& content) {
      comparer.add_expected(entry, content);
    });
    ArtifactSource source(context_.session.stop, context_.directory, record_, walked_by(expected));
    put_artifact(context_, id_, parent_of(path), record_, source);
    comparer.close();
  }
  tree::EntryWalk restored([&](const pipe::TarEntry& entry, const std::string& content) {
    comparer.add_actual(entry, content);
  });
  read_restored(context_, id_, path, restored, "comparing " + record_.file);
  context_.session.reporter.progress_end();
  if (!comparer.same()) {
    throw Error(ErrorKind::artifact, "restored, it is not the same: " +
                                         first_difference(context_, id_, path, record_, comparer));
  }
  report.compared.update(
      Json{{"entries", comparer.entries()}, {"content_bytes", comparer.content_bytes()}});
  report.lines.push_back(fmt::format("{} entries and {} of content came back the same",
                                     comparer.entries(), format_bytes(comparer.content_bytes())));
  if (comparer.times_clamped() > 0) {
    report.compared["times_clamped"] = comparer.times_clamped();
    report.not_proven.push_back(
        fmt::format("the times of {} entries from before 1970 or after 2262: the engine restores "
                    "them as 1970",
                    comparer.times_clamped()));
  }
}

namespace {

// Takes the one file of that path out of a tar that passes, as a tar of its own with another name.
class OneFile : public pipe::Stage, private pipe::TarVisitor {
 public:
  OneFile(std::string path, std::string name, pipe::Stage& next)
      : path_(std::move(path)), name_(std::move(name)), next_(next), writer_(next) {}
  void write(const Chunk& chunk) override { reader_.write(chunk); }
  void finish() override {
    reader_.finish();
    writer_.finish();
    next_.finish();
  }

 private:
  bool entry(const pipe::TarEntry& entry) override {
    is_it_ = entry.path == path_ && entry.type == pipe::TarType::file;
    if (!is_it_) return true;
    pipe::TarEntry renamed = entry;
    renamed.path = name_;
    writer_.begin(renamed);
    return true;
  }
  void data(const Chunk& chunk) override {
    if (is_it_) writer_.data(chunk.bytes());
  }
  void entry_end() override {
    if (is_it_) writer_.end();
  }

  std::string path_, name_;
  pipe::Stage& next_;
  pipe::TarWriter writer_;
  pipe::TarReader reader_{*this, nullptr};
  bool is_it_ = false;
};

}  // namespace

// From the artifact, as it streams: the file may be larger than the memory, and the engine lets
// nobody write to a container that is being read.
void ContainerTarget::copy_file(const std::string& from, const std::string& to) {
  const std::string in_tar = base_name(record_.source) + from.substr(record_.source.size());
  ArtifactSource source(context_.session.stop, context_.directory, record_, [&](pipe::Stage& next) {
    return std::make_unique<OneFile>(in_tar, base_name(to), next);
  });
  context_.session.engine.put_archive(id_, parent_of(to), [&] { return source.next(); });
}

std::optional<std::string> ContainerTarget::secret(const std::vector<std::string>& names) {
  return service::container_secret(engine(), container(), names, context_.session.reporter);
}

}  // namespace bba::restore
