// What a drill of a server shares whatever the server is: the configuration that the live container
// has from outside of its image, and the secrets behind NAME_FILE variables.
#include <algorithm>

#include "bba/base/text.hpp"
#include "bba/service/mounted_archive.hpp"
#include "bba/restore/scratch.hpp"
#include "bba/run/target.hpp"
#include "bba/pipe/tar.hpp"

namespace bba::ops {

namespace {

// Configuration is small; what is not is data that the drill can do without.
constexpr std::size_t most_lent = 16 << 20;

void put_tar(docker::Engine& engine, const std::string& container, const std::string& parent,
             const std::vector<Chunk>& tar) {
  std::size_t next = 0;
  engine.put_archive(container, parent, [&]() -> std::optional<Chunk> {
    if (next == tar.size()) return std::nullopt;
    return tar[next++];
  });
}

class Collected : public pipe::Stage {
 public:
  void write(const Chunk& chunk) override { chunks.push_back(chunk); }
  void finish() override {}
  std::vector<Chunk> chunks;
};

// The engine extracts into directories that are there only.
void make_directory(docker::Engine& engine, const std::string& scratch, const std::string& path) {
  if (path == "/" || engine.has_path(scratch, path)) return;
  const std::string parent = classes::parent_of(path);
  make_directory(engine, scratch, parent);
  Collected tar;
  pipe::TarWriter writer(tar);
  pipe::TarEntry entry;
  entry.path = path.substr(path.find_last_of('/') + 1);
  entry.type = pipe::TarType::directory;
  entry.mode = 0755;
  writer.begin(entry);
  writer.end();
  writer.finish();
  put_tar(engine, scratch, parent, tar.chunks);
}

std::vector<classes::MountChoice> mounts_of(const wire::Container& live) {
  std::vector<classes::SourceKind> sources;
  for (const wire::Mount& mount : live.mounts) sources.push_back(source_kind(mount.source));
  return classes::choose_mounts(live.mounts, sources);
}

bool is_file(const classes::MountChoice& choice) {
  return source_kind(choice.mount.source) == classes::SourceKind::file;
}

// A file, or a directory that the container may only read; neither sockets nor views of the kernel.
bool is_configuration(const classes::MountChoice& choice) {
  const classes::SourceKind kind = source_kind(choice.mount.source);
  if (choice.taken) return kind == classes::SourceKind::file;
  const bool is_content =
      kind == classes::SourceKind::file || kind == classes::SourceKind::directory;
  return is_content && choice.mount.type == "bind" && choice.why.starts_with("a read-only bind");
}

}  // namespace

docker::Engine patient_engine(const DrillContext& context) {
  const Session& session = context.session;
  docker::Limits limits = session.settings.limits;
  limits.silence = std::chrono::hours(24);
  return docker::Engine(docker::socket_path(session.settings.host), limits, &session.stop);
}

std::vector<ScratchVolume> data_volumes(const wire::Container& live) {
  std::vector<ScratchVolume> volumes;
  for (const classes::MountChoice& choice : mounts_of(live)) {
    if (choice.taken && !is_file(choice)) volumes.push_back({choice.mount.destination, true});
  }
  return volumes;
}

void lend_configuration(const DrillContext& context, const std::string& scratch,
                        const std::vector<std::string>& without) {
  docker::Engine& engine = context.session.engine;
  std::size_t room = most_lent;
  for (const classes::MountChoice& choice : mounts_of(context.live)) {
    const std::string& path = choice.mount.destination;
    const bool unwanted = std::any_of(without.begin(), without.end(), [&](const std::string& one) {
      return path == one || path.starts_with(one + "/");
    });
    if (unwanted || !is_configuration(choice)) continue;
    std::vector<Chunk> tar;
    std::size_t bytes = 0;
    docker::Body body = engine.get_archive(context.live.id, path);
    while (const std::optional<Chunk> chunk = body.read()) {
      bytes += chunk->size();
      if (bytes > room) break;
      tar.push_back(*chunk);
    }
    body.close();
    if (bytes > room) {
      context.session.reporter.note(
          fmt::format("the scratch container does without {}: more than {} of configuration", path,
                      format_bytes(most_lent)));
      continue;
    }
    room -= bytes;
    const std::string parent = classes::parent_of(path);
    make_directory(engine, scratch, parent);
    put_tar(engine, scratch, parent, tar);
    context.session.reporter.detail("lent to the scratch container: " + path);
  }
}

std::optional<std::string> scratch_secret(const DrillContext& context, const std::string& scratch,
                                          const std::vector<std::string>& names) {
  const wire::Container container = context.session.engine.inspect(scratch);
  for (const std::string& name : names) {
    if (auto value = wire::env_value(container, name); value && !value->empty()) return value;
    const auto file = wire::env_value(container, name + "_FILE");
    if (!file || file->empty()) continue;
    wire::ExecConfig read;
    read.argv = {"cat", *file};
    const docker::ExecResult result = context.session.engine.run(scratch, read, 64 << 10);
    if (result.exit_code == 0) return std::string(trimmed(result.out));
  }
  return std::nullopt;
}

}  // namespace bba::ops
