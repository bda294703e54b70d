// How long `verify` takes for a set of each kind, beside `gzip -t` on the same file. Prints;
// asserts nothing.
//   verify_bench [MiB]: the size of each artifact as it is stored (200)
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <string>

#include "bba/base/text.hpp"
#include "bba/commands/verify/verify.hpp"
#include "bba/pipe/tar.hpp"
#include "bba/store/artifact_file.hpp"
#include "bba/store/manifest.hpp"
#include "bba/store/manifest_checksum.hpp"
#include "capture/parts.hpp"
#include "services/postgres/dump_found.hpp"

namespace {

using namespace bba;
using capture::ArtifactSink;

constexpr std::size_t piece = 1 << 20;

// Rows like those of event tables: different numbers, times, and repeated words.
class Rows {
 public:
  std::string next() {
    std::string text;
    while (text.size() < piece) {
      ++row_;
      text += fmt::format("{}\tcustomer {}\t\\N\t2026-11-23 09:{:02}:{:02}.{:06}+00\tsome words\n",
                          row_, random_() % 5000, row_ / 60 % 60, row_ % 60, random_() % 1000000);
    }
    return text;
  }
  std::string noise() {
    std::string bytes(piece / 4, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }

 private:
  std::mt19937_64 random_{1};
  std::uint64_t row_ = 0;
};

// Each fills the artifact until it is as large as wanted, and returns ArtifactRecord::found.
Json fill_sql(ArtifactSink& sink, std::uint64_t size) {
  services::postgres::DumpCheck check;
  pipe::TeeStage tee{&check, &sink.count};
  const auto write = [&](const std::string& text) { tee.write(Chunk::copy_of(text)); };
  Rows rows;
  write(
      "--\n-- PostgreSQL database cluster dump\n--\n\n\\connect app\n\n"
      "--\n-- Data for Name: t; Type: TABLE DATA\n--\n\n"
      "COPY public.t (id, name, gone, at, note) FROM stdin;\n");
  while (sink.digest.bytes() < size) write(rows.next());
  write(
      "\\.\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
      "--\n-- PostgreSQL database cluster dump complete\n--\n\n");
  tee.finish();
  return services::postgres::dump_found(check);
}

Json fill_tar(ArtifactSink& sink, std::uint64_t size) {
  pipe::TarWriter tar(sink.count);
  Rows rows;
  std::uint64_t files = 0;
  std::uint64_t content = 0;
  const auto add = [&](pipe::TarType type, const std::string& path, const std::string& text) {
    pipe::TarEntry entry;
    entry.path = path;
    entry.type = type;
    entry.size = text.size();
    entry.mode = 0755;
    tar.begin(entry);
    tar.data(as_bytes(text));
    tar.end();
  };
  add(pipe::TarType::directory, "data", "");
  while (sink.digest.bytes() < size) {
    // A database file is half text, a quarter incompressible data, and a quarter free space.
    const std::string text = rows.next() + rows.noise() + std::string(piece / 4, '\0');
    add(pipe::TarType::file, fmt::format("data/{}", ++files), text);
    content += text.size();
  }
  tar.finish();
  sink.count.finish();
  return {{"entries", files + 1}, {"files", files}, {"directories", 1},        {"symlinks", 0},
          {"hard_links", 0},      {"others", 0},    {"content_bytes", content}};
}

// A set of one artifact; returns its path.
std::string put_set(const store::OwnedDirectory& directory, const std::string& module,
                    const std::string& kind, std::uint64_t size) {
  ArtifactSink sink(directory, pipe::Compression::gzip);
  store::Manifest manifest;
  manifest.module = module;
  manifest.module_class = kind == "sql" ? "A" : "E";
  manifest.started = manifest.finished = now();
  store::ArtifactRecord record;
  record.kind = kind;
  record.compression = "gzip";
  record.found = kind == "sql" ? fill_sql(sink, size) : fill_tar(sink, size);
  record.file = store::artifact_name(module, manifest.started, "", kind + ".gz");
  record.bytes = sink.digest.bytes();
  record.sha256 = sink.digest.sha256();
  record.uncompressed_bytes = sink.count.bytes();
  sink.file.publish(record.file);
  manifest.artifacts.push_back(record);
  store::ArtifactFile file(directory);
  file.write(as_bytes(store::with_checksum(store::to_json(manifest))));
  file.sync();
  file.publish(store::manifest_name(module, manifest.started));
  std::printf("%s: %s, %s uncompressed\n", record.file.c_str(), format_bytes(record.bytes).c_str(),
              format_bytes(record.uncompressed_bytes).c_str());
  return directory.path() + "/" + record.file;
}

class Silent : public Reporter {
  void progress(const Progress&) override {}
  void progress_end() override {}
  void note(const std::string&) override {}
  void detail(const std::string&) override {}
  void warning(const std::string& text) override { std::printf("warning: %s\n", text.c_str()); }
};

// The best of five: the others were disturbed.
double seconds(const std::function<void()>& action) {
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    action();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t size = static_cast<std::uint64_t>(argc > 1 ? std::atoi(argv[1]) : 200) << 20;
  std::string root = "/tmp/bba-bench-XXXXXX";
  if (::mkdtemp(root.data()) == nullptr) return 1;
  Stop stop;
  Silent reporter;
  run::Settings settings;
  settings.backup_dir = root + "/backups";
  settings.proof_dir = root + "/proofs";
  run::Session session{settings, stop, reporter, docker::Engine("/nowhere", {}, &stop)};
  const auto directory = store::OwnedDirectory::open_or_create(settings.backup_dir);
  for (const std::string kind : {"sql", "tar"}) {
    const std::string module = kind == "sql" ? "postgres" : "kuma";
    const std::string path = put_set(directory, module, kind, size);
    const double gzip = seconds([&] {
      if (std::system(("gzip -t " + path).c_str()) != 0) std::abort();
    });
    const double verify = seconds([&] {
      const std::string broken = commands::verify(session, module).first_broken();
      if (!broken.empty()) std::printf("%s\n", broken.c_str());
    });
    std::printf("  gzip -t %.2f s, verify %.2f s: %.2f of it\n", gzip, verify, verify / gzip);
  }
  std::filesystem::remove_all(root);
}
