// Removes what killed runs left, once it is old enough.
#include "orphans.hpp"

#include <chrono>
#include <fcntl.h>
#include <sys/stat.h>

#include "asked_for.hpp"

namespace bba::commands {

namespace {

// Why an orphan stays; empty where it is removed.
std::string kept_orphan(const store::Orphan& orphan, const struct stat& status, Timestamp at) {
  if (!orphan.abandoned) return "worth a look: " + orphan.why;
  // If it is being copied here, its manifest may come next.
  constexpr std::chrono::hours least_age{1};
  const Timestamp changed{std::chrono::seconds(status.st_ctim.tv_sec)};
  if (at - changed < least_age) return "not yet an hour here: " + orphan.why;
  return {};
}

}  // namespace

std::string module_of(const store::Orphan& orphan) {
  const auto parsed = store::parse_name(orphan.file);
  return parsed ? parsed->module : std::string();
}

// A run that is alive cannot lose a file to this: it holds its module's lock from before the first
// artifact has a name until its manifest has one, and its dot-file as long as there is one.
std::vector<PrunedOrphan> prune_orphans(const run::Session& session,
                                        const store::OwnedDirectory& directory,
                                        const store::Catalogue& catalogue,
                                        const PruneRequest& request) {
  std::vector<PrunedOrphan> pruned;
  for (const store::Orphan& orphan : catalogue.orphans) {
    if (!is_asked_for(request, module_of(orphan))) continue;
    struct stat status {};
    if (::fstatat(directory.fd(), orphan.file.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    const std::string why_kept = kept_orphan(orphan, status, request.at);
    pruned.push_back({orphan.file, static_cast<std::uint64_t>(status.st_size), !why_kept.empty(),
                      why_kept.empty() ? orphan.why : why_kept});
    if (!why_kept.empty() || request.dry_run) continue;
    session.stop.throw_if_requested();
    directory.remove(orphan.file);
    request.removed(orphan.file);
  }
  directory.sync();
  return pruned;
}

}  // namespace bba::commands
