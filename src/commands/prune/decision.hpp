// Which sets the rules of a prune keep, and why.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bba/commands/prune/prune.hpp"
#include "bba/store/artifact_file.hpp"
#include "bba/store/catalogue.hpp"

namespace bba::commands {

using Sets = std::vector<const store::BackupSet*>;

// Which sets are removed, and why the others stay.
class Decision {
 public:
  Decision(run::Session& session, const store::OwnedDirectory& directory,
           const store::Catalogue& catalogue, const PruneRequest& request);

  // Why a set stays; nullptr where it is removed.
  const std::string* kept(const store::BackupSet& set) const;

  // Sets that are only removed together: they were taken together, and one alone is not a backup.
  Sets group(const store::BackupSet& set) const;

 private:
  void keep(const store::BackupSet& set, std::string why);
  bool is_of_the_future(const store::BackupSet& set) const;
  bool is_torn(const store::BackupSet& set) const;
  bool is_complete(const store::BackupSet& set) const;
  void keep_for_undo();
  void keep_by_rule(const Sets& sets);
  void keep_with_members(const Sets& sets);
  bool is_touched(const Sets& sets) const;
  void keep_newest_good(const Sets& sets);
  void keep_broken();
  const std::string& fault(const store::BackupSet& set);

  run::Session& session_;
  const store::OwnedDirectory& directory_;
  const PruneRequest& request_;
  std::map<std::string, const store::BackupSet*> by_file_;
  std::map<std::string, Sets> by_module_;
  std::map<std::string, std::string> kept_;
  std::map<std::string, std::string> faults_;
};

}  // namespace bba::commands
