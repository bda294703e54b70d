// The verdict of the gate for people, and as JSON.
#include "bba/base/text.hpp"
#include "bba/commands/gate/gate.hpp"

namespace bba::commands {

std::string gate_text(const GateVerdict& verdict) {
  if (!verdict.proof) return {};
  const store::Proof& proof = *verdict.proof;
  std::string text;
  const auto line = [&](const char* label, const std::string& value) {
    text += fmt::format("{:<10} {}\n", label, printable(value));
  };
  line("reference", verdict.reference());
  line("manifest", "sha256:" + proof.manifest_sha256);
  line("strategy", proof.strategy);
  // What was accepted is shown to those who read the log of the deploy.
  if (proof.fallback) line("fallback", *proof.fallback);
  if (proof.changed_while_read > 0) {
    line("changed", fmt::format("{} while read", proof.changed_while_read));
  }
  for (const std::string& lacked : proof.incomplete) line("incomplete", lacked);
  line("proof", fmt::format("{}, by the {}", name(proof.level),
                            verdict.by_proof ? "public proof" : "backup directory"));
  line("age", format_duration(*verdict.age));
  return text;
}

Json gate_json(const GateVerdict& verdict) {
  Json refusals = Json::array();
  for (const Refusal& refusal : verdict.refusals) {
    refusals.push_back(
        {{"condition", refusal.condition}, {"why", refusal.why}, {"run", refusal.run}});
  }
  Json json = {{"passed", verdict.passed()}, {"module", verdict.module}};
  const std::optional<store::Proof>& proof = verdict.proof;
  json["class"] = proof ? Json(proof->module_class) : Json();
  json["strategy"] = proof ? Json(proof->strategy) : Json();
  json["fallback"] = proof && proof->fallback ? Json(*proof->fallback) : Json();
  json["changed_while_read"] = proof ? Json(proof->changed_while_read) : Json();
  json["incomplete"] = proof ? Json(proof->incomplete) : Json();
  json["reference"] = proof ? Json(verdict.reference()) : Json();
  json["manifest"] = proof ? Json(proof->manifest) : Json();
  json["manifest_sha256"] = proof ? Json(proof->manifest_sha256) : Json();
  json["proof"] = proof ? Json(name(proof->level)) : Json();
  json["age_seconds"] = verdict.age ? Json(verdict.age->count()) : Json();
  json["source"] = verdict.by_proof ? "proof" : "directory";
  json["refusals"] = std::move(refusals);
  return json;
}

}  // namespace bba::commands
