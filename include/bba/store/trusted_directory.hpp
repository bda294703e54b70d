// A directory in which nobody but its owner and root can put anything in another's place, neither
// in itself nor by way of the directories above it.
#pragma once

#include <string>
#include <sys/types.h>

#include "bba/base/error.hpp"
#include "bba/base/fd.hpp"

namespace bba::store {

// Throws Error{kind} where what is open does not belong to `owner`, or others can write to it.
void require_trusted(int fd, const std::string& path, uid_t owner, ErrorKind kind);

// Walks to the directory by descriptors, so that nothing that was judged can be exchanged later.
// Every directory above it has to belong to root or `owner` and be writable by nobody else; a
// sticky one of root's (/tmp) is as good where what is below it belongs to one of the two. Links
// that one of the two made are followed. An empty Fd where it is not there; the descriptor is for
// the calls that end in -at, and cannot be read from. Throws Error{kind}.
Fd open_trusted(const std::string& path, uid_t owner, ErrorKind kind);
// The same for this process as the owner. Makes what is missing, each 0755. Throws Error{storage}.
Fd make_trusted(const std::string& path);

}  // namespace bba::store
