#include "in_place.hpp"

#include <algorithm>

#include "bba/base/text.hpp"
#include "bba/restore/in_place.hpp"
#include "bba/run/in_place_state.hpp"
#include "bba/services/registry.hpp"
#include "bba/store/lock.hpp"
#include "choose_set.hpp"
#include "commands/live_container.hpp"
#include "commands/safety_set.hpp"
#include "conditions.hpp"

namespace bba::commands {

namespace {

std::string undo_command(const std::string& module) {
  return fmt::format("`backup-before-apply restore {} --undo`", module);
}

// A restore in place, with all that was found out before anything is touched.
class PreparedInPlace {
 public:
  PreparedInPlace(run::Session& session, const RestoreRequest& request)
      : session_(session),
        request_(request),
        earlier_(run::in_place_state(session.settings.state_dir, request.module)),
        chosen_(choose()),
        live_(live_container(session, chosen_.set.manifest.container)),
        record_(artifact()),
        present_(plan_present()),
        cleanup_(session.settings.state_dir, session.settings.host),
        context_{session,     cleanup_, chosen_.directory, chosen_.set.manifest, live_,
                 live_.image, 0,        needs_hand_},
        restore_(context_, record_, kind(), present_, options()) {
    require_lasting_state(session.settings.state_dir);
    make_plan();
  }

  const RestorePlan& plan() const { return plan_; }

  void carry_out(RestoreResult& result) {
    run::InPlaceState state = state_before();
    // The state before is in the safety set of the restore that was broken off.
    const bool has_state_before = !request_.undo && earlier_ && earlier_->unfinished;
    std::string safety_set =
        has_state_before ? earlier_->safety_set : take_safety_set(session_, cleanup_, present_);
    // An undo that is broken off as well goes on to the same state.
    const bool goes_on = request_.undo && earlier_ && earlier_->unfinished;
    state.safety_set = goes_on ? earlier_->safety_set : safety_set;
    const store::ModuleLock lock(session_.settings.state_dir,
                                 "container-" + live_.id.substr(0, 12));
    bool changed = false;
    const auto changing = [&] {
      session_.stop.throw_if_requested();
      state.unfinished = true;
      run::write_in_place_state(session_.settings.state_dir, state);
      changed = true;
    };
    try {
      const service::PartReport report = restore_.carry_out(changing, needs_hand_);
      result.outcome.lines = report.lines;
      result.outcome.not_proven = report.not_proven;
    } catch (const service::Untouched&) {
      session_.reporter.progress_end();
      forget_change();
      throw;
    } catch (Error& error) {
      session_.reporter.progress_end();
      if (!changed) throw;
      throw Error(
          ErrorKind::unfinished,
          fmt::format("{} (the restore in place of {} is not finished; what the service had "
                      "before it is in the safety set {})",
                      error.what(), request_.module, state.safety_set),
          error.hint().empty() ? "go back with " + undo_command(request_.module)
                               : error.hint() + "; to go back, " + undo_command(request_.module));
    }
    state.unfinished = false;
    state.safety_set = safety_set;
    run::write_in_place_state(session_.settings.state_dir, state);
    result.safety_set = std::move(safety_set);
    result.needs_hand.insert(result.needs_hand.end(), needs_hand_.begin(), needs_hand_.end());
    result.plan = std::move(plan_);
  }

 private:
  ChosenSet choose() {
    RestoreRequest request = request_;
    if (request.undo) {
      request.reference = session_.settings.backup_dir + "/" + earlier_->safety_set;
    }
    return std::move(choose_sets(session_, request.module, request.reference).front());
  }

  const store::ArtifactRecord& artifact() const {
    const store::Manifest& manifest = chosen_.set.manifest;
    for (const store::ArtifactRecord& record : manifest.artifacts) {
      if (services::require_kind(record.kind).goes_in_place()) continue;
      throw Error(ErrorKind::container,
                  fmt::format("{} does not go back by the service's own means", record.file),
                  "leave --in-place out: its directory is exchanged, or it is restored by hand");
    }
    if (manifest.artifacts.size() != 1 || !manifest.members.empty()) {
      throw Error(ErrorKind::container,
                  fmt::format("{} is not a set of one artifact", chosen_.set.manifest_file),
                  "restore it by hand: the manifest has the commands");
    }
    if (!live_.running || live_.paused) {
      throw Error(
          ErrorKind::container,
          fmt::format("{} is {}: its own server takes what is restored", live_.name, live_.state),
          live_.paused ? "docker unpause " + live_.name : "docker start " + live_.name);
    }
    return manifest.artifacts.front();
  }

  const service::ArtifactKind& kind() const { return services::require_kind(record_.kind); }

  service::InPlaceOptions options() const {
    // What it had before is all that it had before.
    return {request_.exact || request_.undo, request_.new_cluster};
  }

  service::Capture plan_present() {
    service::Capture capture = plan_safety_set(session_, chosen_.set.manifest, live_);
    if (capture.parts.size() == 1 && capture.parts.front().kind == &kind()) return capture;
    throw Error(
        ErrorKind::container,
        fmt::format("a set of the present state would be of another kind than {}", record_.file),
        "restore it by hand: the manifest has the commands");
  }

  void make_plan() {
    plan_.module = request_.module;
    plan_.container = live_.name;
    plan_.is_undo = request_.undo;
    plan_.in_place = true;
    plan_.set = chosen_.set.manifest_file;
    plan_.taken = chosen_.set.manifest.started;
    const bool has_state_before = !request_.undo && earlier_ && earlier_->unfinished;
    plan_.steps.push_back(
        has_state_before
            ? fmt::format("goes on with a restore that was broken off: {}, of before that one, is "
                          "kept for --undo",
                          earlier_->safety_set)
            : "takes a safety set of what the service has now; where that fails, nothing is changed");
    for (std::string& step : restore_.steps()) plan_.steps.push_back(std::move(step));
    const store::Manifest& manifest = chosen_.set.manifest;
    if (live_.image != manifest.container.image_id) {
      plan_.notes.push_back(fmt::format(
          "the container has another image than the one that was backed up ({}): it stays",
          manifest.container.image));
    }
    for (const std::string& lacked : manifest.incomplete) {
      plan_.notes.push_back("not in the set: " + lacked);
    }
    for (const std::string& lacked : present_.incomplete) {
      plan_.notes.push_back("not in the safety set, and not touched: " + lacked);
    }
  }

  run::InPlaceState state_before() const {
    run::InPlaceState state;
    state.module = request_.module;
    state.container = live_.name;
    state.set = chosen_.set.manifest_file;
    state.time = now();
    state.whole = restore_.is_whole();
    return state;
  }

  // The service has what it had, and with it what could be undone before.
  void forget_change() {
    if (earlier_) {
      run::write_in_place_state(session_.settings.state_dir, *earlier_);
    } else {
      run::remove_in_place_state(session_.settings.state_dir, request_.module);
    }
  }

  run::Session& session_;
  const RestoreRequest& request_;
  std::optional<run::InPlaceState> earlier_;
  ChosenSet chosen_;
  wire::Container live_;
  const store::ArtifactRecord& record_;
  service::Capture present_;
  run::Cleanup cleanup_;
  std::vector<std::string> needs_hand_;
  restore::ScratchContext context_;
  restore::InPlaceRestore restore_;
  RestorePlan plan_;
};

}  // namespace

bool is_in_place(const run::Session& session, const RestoreRequest& request) {
  if (request.in_place && request.rollback) {
    throw Error(ErrorKind::usage, "a rollback does not go in place",
                "make the container as it was, then `restore --in-place` brings its data back");
  }
  if (!request.undo) return request.in_place;
  const auto state = run::in_place_state(session.settings.state_dir, request.module);
  if (!state) return false;
  const auto parked = run::parked_states(session.settings.state_dir, request.module);
  return std::none_of(parked.begin(), parked.end(), [&](const run::ParkedState& one) {
    return !one.failed && one.time > state->time;
  });
}

RestorePlan plan_in_place(run::Session& session, const RestoreRequest& request) {
  return PreparedInPlace(session, request).plan();
}

RestoreResult restore_in_place(run::Session& session, const RestoreRequest& request,
                               RestoreResult result) {
  PreparedInPlace prepared(session, request);
  request.confirm(prepared.plan());
  prepared.carry_out(result);
  return result;
}

void require_no_broken_restore(run::Session& session, const std::vector<std::string>& modules) {
  for (const std::string& module : modules) {
    auto state = run::in_place_state(session.settings.state_dir, module);
    if (!state || !state->unfinished) continue;
    if (state->whole) {
      session.reporter.warning(run::settle_whole(session.settings.state_dir, *state));
      continue;
    }
    throw Error(ErrorKind::unfinished, run::broken_off(*state),
                fmt::format("bring back what it had with {}, or begin again with `restore {} "
                            "--in-place`",
                            undo_command(module), module));
  }
}

}  // namespace bba::commands
