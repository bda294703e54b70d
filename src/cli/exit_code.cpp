#include "exit_code.hpp"

namespace bba::cli {

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::internal:
      return 1;
    case ErrorKind::usage:
      return 2;
    case ErrorKind::config:
      return 3;
    case ErrorKind::container:
      return 4;
    case ErrorKind::engine:
      return 5;
    case ErrorKind::capture:
      return 6;
    case ErrorKind::artifact:
      return 7;
    case ErrorKind::storage:
      return 8;
    case ErrorKind::busy:
      return 9;
    case ErrorKind::gate:
      return 10;
    case ErrorKind::unfinished:
      return 12;
    case ErrorKind::timeout:
      return 124;
    case ErrorKind::interrupted:
      return 130;
    case ErrorKind::terminated:
      return 143;
  }
  return 1;
}

}  // namespace bba::cli
