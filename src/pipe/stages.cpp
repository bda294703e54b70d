#include "bba/pipe/stages.hpp"

namespace bba::pipe {

void TeeStage::write(const Chunk& chunk) {
  for (Stage* branch : branches_) branch->write(chunk);
}

void TeeStage::finish() {
  for (Stage* branch : branches_) branch->finish();
}

void CountStage::write(const Chunk& chunk) {
  bytes_ += chunk.size();
  next_.write(chunk);
}

}  // namespace bba::pipe
