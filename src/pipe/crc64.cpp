#include "bba/pipe/crc64.hpp"

#include <isa-l/crc64.h>

namespace bba::pipe {

// ISA-L inverts before and after.
std::uint64_t add_to_crc64(std::uint64_t crc, std::string_view bytes) {
  return ~crc64_jones_refl(~crc, reinterpret_cast<const unsigned char*>(bytes.data()),
                           bytes.size());
}

}  // namespace bba::pipe
