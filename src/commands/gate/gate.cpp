// The command: finds the evidence, asks one condition after the other, and gives the verdict.
#include "bba/commands/gate/gate.hpp"

#include "bba/base/module_id.hpp"
#include "bba/base/text.hpp"
#include "conditions.hpp"
#include "evidence.hpp"
#include "image.hpp"
#include "program.hpp"
#include "reference.hpp"

namespace bba::commands {

namespace {

GateVerdict judge(run::Session& session, const GateRequest& request) {
  require_module_id(request.module);
  GateVerdict verdict;
  verdict.module = request.module;
  verdict.by_proof = !may_read_backups(session.settings.backup_dir);
  std::optional<FileReference> file;
  try {
    if (request.reference) file = file_reference(session, request.module, *request.reference);
  } catch (const Error& error) {
    verdict.refusals.push_back(bad_reference(request, error.what()));
    return verdict;
  }
  Evidence evidence =
      verdict.by_proof ? ask_proof(session, request, file) : ask_directory(session, request, file);
  verdict.proof = std::move(evidence.proof);
  verdict.refusals = std::move(evidence.refusals);
  if (!verdict.proof) return verdict;

  const store::Proof& proof = *verdict.proof;
  const auto require = [&](std::optional<Refusal> refusal) {
    if (refusal) verdict.refusals.push_back(std::move(*refusal));
  };
  verdict.age = request.at - proof.started;
  require(fallback_refusal(proof, request));
  require(changed_refusal(proof, request));
  require(incomplete_refusal(proof, request));
  require(clock_refusal(proof, request));
  require(age_refusal(proof, request));
  require(level_refusal(proof, request, evidence.failed_drill));
  require(size_refusal(proof, request));
  if (!request.skip_image_check) require(image_refusal(session, proof));
  return verdict;
}

// Who may not read the backups needs sudo to list or to make one.
void advise_the_unprivileged(GateVerdict& verdict) {
  for (Refusal& refusal : verdict.refusals) {
    if (refusal.condition == "reference") {
      refusal.run = verdict.proof ? fmt::format("give the newest, {}, or leave --ref out",
                                                verdict.reference())
                                  : "give an artifact of the newest set, or leave --ref out";
    } else if (refusal.run.starts_with(program)) {
      refusal.run = "sudo " + refusal.run;
    }
  }
}

}  // namespace

std::string GateVerdict::reference() const {
  if (!proof) return {};
  return proof->artifacts.empty() ? proof->manifest : proof->artifacts.front();
}

GateVerdict gate(run::Session& session, const GateRequest& request) {
  GateVerdict verdict = judge(session, request);
  if (verdict.by_proof) advise_the_unprivileged(verdict);
  return verdict;
}

Error gate_error(const GateVerdict& verdict) {
  const Refusal& first = verdict.refusals.front();
  return Error(ErrorKind::gate, first.why, first.run).in("the gate refuses " + verdict.module);
}

}  // namespace bba::commands
