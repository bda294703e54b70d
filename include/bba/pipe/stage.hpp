// A stage that a stream of bytes passes: it takes chunks in order, then one finish(). Its findings
// are read afterwards. Stages know no network and no files; they run on whatever thread pushes.
#pragma once

#include "bba/base/bytes.hpp"
#include "bba/base/error.hpp"

namespace bba::pipe {

class Stage {
 public:
  Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  virtual ~Stage() = default;

  // Throws Error{artifact} where the bytes are not what they should be (the message names the
  // offset), or whatever the next stage throws. After a throw the stage takes nothing more.
  virtual void write(const Chunk& chunk) = 0;
  // The end of the bytes: throws unless everything is complete; passes the end on.
  virtual void finish() = 0;
};

}  // namespace bba::pipe
