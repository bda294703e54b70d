// The two compressed formats behind compress.hpp, each in a source of its own.
#pragma once

#include <memory>

#include "bba/pipe/stage.hpp"

namespace bba::pipe {

std::unique_ptr<Stage> make_gzip_compressor(Stage& next);
std::unique_ptr<Stage> make_gzip_decompressor(Stage& next);
std::unique_ptr<Stage> make_zstd_compressor(Stage& next);
std::unique_ptr<Stage> make_zstd_decompressor(Stage& next);

}  // namespace bba::pipe
