// The command: refuses a request that removes nothing, then prunes the sets and the orphans.
#include "bba/commands/prune/prune.hpp"

#include "bba/base/module_id.hpp"
#include "bba/base/text.hpp"
#include "bba/commands/backup.hpp"
#include "locked_catalogue.hpp"
#include "orphans.hpp"
#include "parked.hpp"
#include "prune_sets.hpp"

namespace bba::commands {

namespace {

bool has_rule(const PruneRequest& request) {
  return request.keep_last || request.keep_within;
}

void require_effect(const PruneRequest& request) {
  if (!has_rule(request) && !request.orphans && !request.parked) {
    throw Error(ErrorKind::usage, "nothing says which sets are to be kept",
                "give --keep-last N, --keep-within SPAN, or both: what one of them keeps is kept; "
                "--orphans removes what killed runs left, --parked what restores have put aside");
  }
  if (!request.module.empty()) require_module_id(request.module);
}

}  // namespace

Pruning prune(run::Session& session, const PruneRequest& request) {
  require_effect(request);
  Pruning pruning;
  pruning.dry_run = request.dry_run;
  if (request.parked) {
    if (!request.dry_run) pruning.needs_hand = recover_first(session);
    pruning.parked = prune_parked(session, request);
  }
  if (!has_rule(request) && !request.orphans) return pruning;
  const auto directory = store::OwnedDirectory::open_existing(session.settings.backup_dir);
  LockedCatalogue locked;
  if (request.dry_run) {
    locked.catalogue = store::read_catalogue(directory);
  } else {
    pruning.needs_hand = recover_first(session) || pruning.needs_hand;
    locked = lock_catalogue(session, directory, request);
  }
  if (has_rule(request)) pruning.sets = prune_sets(session, directory, locked.catalogue, request);
  if (request.orphans) {
    pruning.orphans = prune_orphans(session, directory, locked.catalogue, request);
  }
  return pruning;
}

}  // namespace bba::commands
