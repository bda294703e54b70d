#include "bba/restore/in_place.hpp"

#include "container_target.hpp"

namespace bba::restore {

struct InPlaceRestore::Impl {
  Impl(const ScratchContext& context, const store::ArtifactRecord& record,
       const service::ArtifactKind& kind, const service::Capture& present,
       const service::InPlaceOptions& options)
      : target(context, context.live.id, record, false),
        in_place(kind.in_place(target, present, options)) {}

  ContainerTarget target;
  std::unique_ptr<service::InPlace> in_place;
};

InPlaceRestore::InPlaceRestore(const ScratchContext& context, const store::ArtifactRecord& record,
                               const service::ArtifactKind& kind, const service::Capture& present,
                               const service::InPlaceOptions& options)
    : impl_(std::make_unique<Impl>(context, record, kind, present, options)) {}

InPlaceRestore::~InPlaceRestore() = default;

std::vector<std::string> InPlaceRestore::steps() const {
  return impl_->in_place->steps();
}

bool InPlaceRestore::is_whole() const {
  return impl_->in_place->is_whole();
}

service::PartReport InPlaceRestore::carry_out(const std::function<void()>& changing,
                                              std::vector<std::string>& needs_hand) {
  impl_->in_place->carry_out(changing, needs_hand);
  return impl_->target.report;
}

}  // namespace bba::restore
