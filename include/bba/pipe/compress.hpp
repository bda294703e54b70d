// gzip (RFC 1952, through ISA-L) and zstd (RFC 8878, through libzstd), both ways, as stages.
// Decompression is strict: one gzip member or zstd frame, its checksum and length right, and
// nothing after it; the error names the offset in the compressed bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "bba/pipe/stage.hpp"

namespace bba::pipe {

enum class Compression { none, gzip, zstd };

std::string_view name(Compression compression);         // "none", "gzip", "zstd"
std::string_view file_suffix(Compression compression);  // "", ".gz", ".zst"
std::optional<Compression> compression_by_name(std::string_view name);

// The stage that compresses into `next` / decompresses into `next`. Compression::none passes
// through.
std::unique_ptr<Stage> make_compressor(Compression compression, Stage& next);
std::unique_ptr<Stage> make_decompressor(Compression compression, Stage& next);

}  // namespace bba::pipe
