// The program without main(): arguments in, exit code out.
#pragma once

namespace bba::cli {

int run(int argc, const char* const* argv);

}  // namespace bba::cli
