// How fast each stage is, beside memcpy in the same run. Prints; asserts nothing.
//   pipe_bench [MiB]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bba/pipe/compress.hpp"
#include "bba/pipe/digest.hpp"
#include "bba/pipe/tar.hpp"
#include "services/postgres/dump_check.hpp"

namespace {

using namespace bba;
using namespace bba::pipe;

class Keep : public Stage {
 public:
  void write(const Chunk& chunk) override { chunks.push_back(chunk); }
  void finish() override {}
  std::vector<Chunk> chunks;
};

class Drop : public Stage {
 public:
  void write(const Chunk&) override {}
  void finish() override {}
};

class KeepAll : public TarVisitor {
 public:
  bool entry(const TarEntry&) override { return true; }
  void data(const Chunk&) override {}
  void entry_end() override {}
};

double seconds(const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void feed(Stage& stage, const std::vector<Chunk>& chunks) {
  for (const Chunk& chunk : chunks) stage.write(chunk);
  stage.finish();
}

std::vector<Chunk> cut(const std::string& text) {
  constexpr std::size_t size = 64 * 1024;
  std::vector<Chunk> chunks;
  for (std::size_t at = 0; at < text.size(); at += size) {
    chunks.push_back(Chunk::copy_of(std::string_view(text).substr(at, size)));
  }
  return chunks;
}

std::string sql_dump(std::size_t size) {
  std::mt19937_64 random(1);
  std::string dump = "--\n-- Data for Name: t; Type: TABLE DATA\n--\n\nCOPY t FROM stdin;\n";
  while (dump.size() < size) {
    dump += std::to_string(random() % 1'000'000'000) + "\tcustomer " +
            std::to_string(random() % 5000) +
            "\t\\N\t2026-11-23 09:00:00+00\tsome words that come again\n";
  }
  return dump + "\\.\n--\n-- PostgreSQL database cluster dump complete\n--\n\n";
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t size = static_cast<std::size_t>(argc > 1 ? std::atoi(argv[1]) : 256) << 20;
  const std::string dump = sql_dump(size);
  const std::vector<Chunk> chunks = cut(dump);
  Keep tar;
  TarWriter writer(tar);
  for (std::size_t at = 0; at < dump.size(); at += 20'000) {
    const std::string_view content = std::string_view(dump).substr(at, 20'000);
    writer.begin({.path = "data/" + std::to_string(at), .size = content.size()});
    writer.data(as_bytes(content));
    writer.end();
  }
  writer.finish();

  std::string copy(dump.size(), 'x');
  const double memcpy_time = seconds([&] { std::memcpy(copy.data(), dump.data(), dump.size()); });
  const auto report = [&](const char* name, const std::function<void()>& action) {
    const double time = seconds(action);
    std::printf("%-24s %6.2f GB/s  %6.3f of memcpy\n", name,
                static_cast<double>(dump.size()) / time / 1e9, memcpy_time / time);
  };
  report("memcpy", [&] { std::memcpy(copy.data(), dump.data(), dump.size()); });
  report("sha256", [&] {
    DigestStage stage(nullptr);
    feed(stage, chunks);
  });
  report("SQL dump check", [&] {
    services::postgres::DumpCheck stage;
    feed(stage, chunks);
  });
  report("tar reader, 20 kB files", [&] {
    KeepAll all;
    Drop drop;
    TarReader stage(all, &drop);
    feed(stage, tar.chunks);
  });
  for (const Compression compression : {Compression::gzip, Compression::zstd}) {
    const std::string label(name(compression));
    Keep packed;
    report(label.c_str(), [&] { feed(*make_compressor(compression, packed), chunks); });
    std::size_t packed_size = 0;
    for (const Chunk& chunk : packed.chunks) packed_size += chunk.size();
    Drop drop;
    report((label + " back, ratio " +
            std::to_string(static_cast<double>(packed_size) / static_cast<double>(dump.size()))
                .substr(0, 5))
               .c_str(),
           [&] { feed(*make_decompressor(compression, drop), packed.chunks); });
  }
}
