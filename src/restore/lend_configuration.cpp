#include "lend_configuration.hpp"

#include <algorithm>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/pipe/tar.hpp"
#include "bba/service/mounts.hpp"
#include "put_tar.hpp"

namespace bba::restore {

namespace {

// Configuration is small; what is not is data that the drill can do without.
constexpr std::size_t most_lent = 16 << 20;

// The engine extracts only into directories that exist.
void make_directory(docker::Engine& engine, const std::string& scratch, const std::string& path) {
  if (path == "/" || engine.has_path(scratch, path)) return;
  const std::string parent = parent_of(path);
  make_directory(engine, scratch, parent);
  TarCollector tar;
  pipe::TarWriter writer(tar);
  pipe::TarEntry entry;
  entry.path = base_name(path);
  entry.type = pipe::TarType::directory;
  entry.mode = 0755;
  writer.begin(entry);
  writer.end();
  writer.finish();
  put_tar(engine, scratch, parent, tar.chunks);
}

bool is_file(const service::MountChoice& choice) {
  return choice.source == tree::SourceKind::file;
}

// A file, or a directory that the container may only read; neither sockets nor views of the kernel.
bool is_configuration(const service::MountChoice& choice) {
  if (choice.taken) return is_file(choice);
  return choice.verdict == service::MountVerdict::read_only_bind &&
         (is_file(choice) || choice.source == tree::SourceKind::directory);
}

}  // namespace

std::vector<service::FreshVolume> data_volumes(const wire::Container& live) {
  std::vector<service::FreshVolume> volumes;
  for (const service::MountChoice& choice : service::mounts_of(live)) {
    if (choice.taken && !is_file(choice)) volumes.push_back({choice.mount.destination, true});
  }
  return volumes;
}

void lend_configuration(const ScratchContext& context, const std::string& scratch,
                        const std::vector<std::string>& without) {
  docker::Engine& engine = context.session.engine;
  std::size_t room = most_lent;
  for (const service::MountChoice& choice : service::mounts_of(context.live)) {
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
          fmt::format("the scratch container does not get {}: more than {} of configuration", path,
                      format_bytes(most_lent)));
      continue;
    }
    room -= bytes;
    const std::string parent = parent_of(path);
    make_directory(engine, scratch, parent);
    put_tar(engine, scratch, parent, tar);
    context.session.reporter.detail("copied into the scratch container: " + path);
  }
}

}  // namespace bba::restore
