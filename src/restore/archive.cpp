// Archives: put into a container that was created and never started, read again, and every entry
// compared with the artifact's.
#include "bba/base/text.hpp"
#include "bba/service/mounted_archive.hpp"
#include "bba/tree/tree_comparer.hpp"
#include "bba/restore/scratch.hpp"
#include "bba/restore/artifact_source.hpp"
#include "bba/pipe/pump.hpp"

namespace bba::ops {

namespace {

// Where what has no path in a container is restored to.
constexpr const char* own_place = "/bba-drill";

ArtifactSource::Middle walked_by(EntryWalk& walk) {
  return [&walk](pipe::Stage& next) { return std::make_unique<pipe::TarReader>(walk, &next); };
}

// Reads back what was restored.
void read_restored(const DrillContext& context, const std::string& scratch,
                   const RestorePlace& place, EntryWalk& walk, const std::string& label) {
  Session& session = context.session;
  Progress progress{label, 0, {}};
  pipe::TarReader reader(walk, nullptr);
  try {
    docker::Body body = session.engine.get_archive(scratch, place.path);
    pump([&] { return body.read(); }, reader,
         [&](std::size_t bytes) {
           progress.bytes += bytes;
           session.reporter.progress(progress);
         });
    reader.finish();
  } catch (const docker::ApiError& error) {
    if (error.status() != 404) throw;
    throw Error(ErrorKind::artifact, fmt::format("restored, it has no {}", place.path));
  } catch (Error& error) {
    // Of the engine's tar, not of ours.
    if (error.kind() == ErrorKind::artifact) error.with_kind(ErrorKind::engine);
    error.in("reading what was restored");
    throw;
  }
}

// The first entry of the artifact, in its own order, that did not come back as it was.
std::string first_difference(const DrillContext& context, const std::string& scratch,
                             const RestorePlace& place, const store::ArtifactRecord& record,
                             const EntryBook& book) {
  const std::set<EntryDigest> differing = book.differing();
  std::optional<EntryFacts> lost;
  int times = 0;
  EntryWalk in_artifact([&](const pipe::TarEntry& entry, const std::string& content) {
    if (!lost && differing.contains(digest_of_path(entry.path))) lost = EntryFacts{entry, content};
    if (lost && entry.path == lost->entry.path) ++times;
  });
  ArtifactSource(context.session.stop, context.directory, record, walked_by(in_artifact)).drain();
  if (!lost)
    return fmt::format("{} came back, which is not in the artifact", book.first_unexpected());
  const std::string& path = lost->entry.path;
  if (times > 1) return fmt::format("{} is in the artifact {} times", path, times);

  std::optional<EntryFacts> restored;
  EntryWalk in_scratch([&](const pipe::TarEntry& entry, const std::string& content) {
    if (entry.path == path) restored = EntryFacts{entry, content};
  });
  read_restored(context, scratch, place, in_scratch, "looking for " + path);
  if (!restored) return path + " did not come back";
  return path + ": " + entry_difference(*lost, *restored);
}

void put_artifact(const DrillContext& context, const std::string& scratch,
                  const std::string& parent, const store::ArtifactRecord& record,
                  const std::function<std::optional<Chunk>()>& source) {
  Session& session = context.session;
  Progress progress{"restoring " + record.file, 0, record.uncompressed_bytes};
  try {
    session.engine.put_archive(scratch, parent, [&] {
      std::optional<Chunk> chunk = source();
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

RestorePlace place_of(const store::ArtifactRecord& record) {
  if (record.kind == "objects") return {std::string(own_place) + "/objects", own_place};
  constexpr std::string_view on_host = "host:";
  if (record.source.starts_with(on_host)) {
    const std::size_t slash = record.source.find_last_of('/');
    return {own_place + record.source.substr(slash == record.source.npos ? 0 : slash), own_place};
  }
  const std::string& path = record.source;
  if (!path.starts_with('/') || path == "/") {
    throw Error(ErrorKind::artifact,
                fmt::format("the manifest says that it is of {}, which is no path below /", path));
  }
  // A single file cannot be a volume, but lie in one.
  const bool is_file = size_member(record.found, "directories") == 0u;
  const std::string volume = is_file ? classes::parent_of(path) : path;
  return {path, volume == "/" ? "" : volume};
}

PartReport restore_archive(const DrillContext& context, const std::string& scratch,
                           const RestorePlace& place, const store::ArtifactRecord& record) {
  EntryBook book(record.kind == "objects");
  {
    EntryWalk expected([&](const pipe::TarEntry& entry, const std::string& content) {
      book.expect(entry, content);
    });
    ArtifactSource source(context.session.stop, context.directory, record, walked_by(expected));
    put_artifact(context, scratch, classes::parent_of(place.path), record,
                 [&] { return source.next(); });
    book.close();
  }
  EntryWalk restored(
      [&](const pipe::TarEntry& entry, const std::string& content) { book.meet(entry, content); });
  read_restored(context, scratch, place, restored, "comparing " + record.file);
  context.session.reporter.progress_end();
  if (!book.same()) {
    throw Error(ErrorKind::artifact, "restored, it is not the same: " +
                                         first_difference(context, scratch, place, record, book));
  }

  PartReport report;
  report.compared = {{"entries", book.entries()}, {"content_bytes", book.content_bytes()}};
  report.lines.push_back(fmt::format("{} entries and {} of content came back the same",
                                     book.entries(), format_bytes(book.content_bytes())));
  if (book.times_clamped() > 0) {
    report.compared["times_clamped"] = book.times_clamped();
    report.not_proven.push_back(
        fmt::format("the times of {} entries from before 1970 or after 2262: the engine restores "
                    "them as 1970",
                    book.times_clamped()));
  }
  return report;
}

PartReport drill_archive(const DrillContext& context, const store::ArtifactRecord& record) {
  const RestorePlace place = place_of(record);
  ScratchSpec spec;
  if (!place.volume.empty()) spec.volumes.push_back({place.volume});
  PartReport report;
  with_scratch(context, spec, [&](const std::string& scratch) {
    report = restore_archive(context, scratch, place, record);
  });
  return report;
}

}  // namespace bba::ops
