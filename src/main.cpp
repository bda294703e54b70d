#include "bba/cli/run.hpp"

int main(int argc, char** argv) {
  return bba::cli::run(argc, argv);
}
