#include "bba/service/service.hpp"

#include "bba/base/text.hpp"

namespace bba::service {

std::string ContentCheck::difference(const std::string& key, const Json& said,
                                     const Json& counted) const {
  return fmt::format("it has {} {}, and the manifest says {}", key, dump_json(counted),
                     dump_json(said));
}

std::string_view ArtifactKind::recorded_name(const Json&) const {
  return name();
}

std::optional<std::string> ArtifactKind::exchanged_mount(const wire::Container&,
                                                         const store::ArtifactRecord&) const {
  return std::nullopt;
}

std::unique_ptr<InPlace> ArtifactKind::in_place(RestoreTarget&, const Capture&,
                                                const InPlaceOptions&) const {
  throw Error(ErrorKind::internal, "this kind of artifact does not go back in place");
}

bool ArtifactKind::carries_over(const ExchangePlace&, const std::string&) const {
  return false;
}

std::unique_ptr<tree::FileCheck> ArtifactKind::file_check(const PathArchive&) const {
  return nullptr;
}

std::optional<std::string> PlanInputs::operator_variable(const std::string& name) const {
  const auto found = environment.find(name);
  if (found == environment.end() || found->second.empty()) return std::nullopt;
  return found->second;
}

Json Service::before_parts(const PartContext&) const {
  return Json::object();
}

void Service::after_parts(const PartContext&, const Json&,
                          std::vector<store::ArtifactRecord>&) const {}

PartFindings Service::stream_part(const PartContext&, const ServicePart& part, pipe::Stage&,
                                  const ProgressFn&) const {
  throw Error(ErrorKind::internal, fmt::format("{} has nothing to stream", part.source));
}

void Service::explain(Error&, const Capture&) const {}

std::vector<std::string> Service::requests_before(const Capture&) const {
  return {};
}

std::vector<std::string> Service::requests_of(const Capture&, const ServicePart&) const {
  return {};
}

std::vector<std::string> Service::requests_after(const Capture&) const {
  return {};
}

}  // namespace bba::service
