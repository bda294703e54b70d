// Backup sets and a session, under the name that the tests of this room use.
#pragma once

#include "unit/session.hpp"
#include "unit/sets.hpp"

namespace bba::commands::test {

using namespace bba::test;

}  // namespace bba::commands::test
