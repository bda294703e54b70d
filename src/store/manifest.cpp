#include "bba/store/manifest.hpp"

#include <algorithm>

#include "bba/base/error.hpp"
#include "bba/base/module_id.hpp"
#include "bba/base/text.hpp"
#include "json_fields.hpp"

namespace bba::store {

namespace {

constexpr std::size_t longest_file_name = 255;  // NAME_MAX
constexpr std::string_view manifest_rest = "manifest.json";
constexpr std::string_view receipt_rest = "drill.json";
constexpr std::string_view configuration_rest = "container.json";

Json object_or_empty(const Json& value) {
  return value.is_null() ? Json::object() : value;
}

bool is_file_name(std::string_view name) {
  return !name.empty() && name.size() <= longest_file_name && name.front() != '.' &&
         std::none_of(name.begin(), name.end(), [](char c) {
           return c == '/' || c == '\x7f' || static_cast<unsigned char>(c) < 0x20;
         });
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

std::string file_name_of(const Json& value, const std::string& field) {
  std::string name = text_of(value, field);
  if (!is_file_name(name)) {
    throw bad_field(field, fmt::format("must be a plain file name, not \"{}\"", name));
  }
  return name;
}

std::string sha256_of(const Fields& fields) {
  std::string text = fields.text("sha256");
  if (is_sha256(text)) return text;
  throw bad_field(fields.field("sha256"), "must be 64 lower-case hexadecimal digits");
}

ArtifactRecord read_artifact(const Json& value, const std::string& path) {
  const Fields fields(value, path);
  ArtifactRecord record;
  record.part = fields.text("part");
  record.file = file_name_of(fields.value("file"), fields.field("file"));
  record.kind = fields.text("kind");
  record.compression = fields.one_of("compression", {"none", "gzip", "zstd"});
  record.source = fields.text("source");
  record.bytes = fields.size("bytes");
  record.sha256 = sha256_of(fields);
  record.uncompressed_bytes = fields.size("uncompressed_bytes");
  record.found = fields.object("found");
  record.left_out = fields.texts_if_any("left_out");
  record.restore = fields.texts("restore");
  return record;
}

ContainerRecord read_container(const Fields& fields) {
  ContainerRecord record{fields.text("id"),           fields.text("name"),
                         fields.text("image"),        fields.text("image_id"),
                         fields.text("image_digest"), fields.object("compose")};
  if (const auto inside = fields.inside_if_any("configuration")) {
    record.configuration = {file_name_of(inside->value("file"), inside->field("file")),
                            inside->size("bytes"), sha256_of(*inside)};
  }
  return record;
}

PausedRecord read_paused(const Json& value, const std::string& path) {
  const Fields fields(value, path);
  return {fields.text("name"), fields.text("id"), fields.seconds("seconds")};
}

// First of all: what a newer version wrote may look like anything.
int read_schema(const Fields& fields) {
  const std::uint64_t schema = fields.size("schema");
  if (schema > manifest_schema) {
    throw Error(
        ErrorKind::artifact,
        fmt::format("was written by a newer version of backup-before-apply (schema {}; this "
                    "version reads up to {})",
                    schema, manifest_schema),
        "use the version that wrote it, or a later one");
  }
  if (schema == 0) throw bad_field("schema", "must be 1 or more");
  return static_cast<int>(schema);
}

Json to_json(const ArtifactRecord& record) {
  return {{"part", record.part},
          {"file", record.file},
          {"kind", record.kind},
          {"compression", record.compression},
          {"source", record.source},
          {"bytes", record.bytes},
          {"sha256", record.sha256},
          {"uncompressed_bytes", record.uncompressed_bytes},
          {"found", object_or_empty(record.found)},
          {"left_out", Json(record.left_out)},
          {"restore", Json(record.restore)}};
}

Json to_json(const ContainerRecord& record) {
  Json json = {{"id", record.id},
               {"name", record.name},
               {"image", record.image},
               {"image_id", record.image_id},
               {"image_digest", record.image_digest},
               {"compose", object_or_empty(record.compose)}};
  if (const auto& configuration = record.configuration) {
    json["configuration"] = {{"file", configuration->file},
                             {"bytes", configuration->bytes},
                             {"sha256", configuration->sha256}};
  }
  return json;
}

Json to_json(const ConsistencyRecord& record) {
  Json paused = Json::array();
  for (const PausedRecord& entry : record.paused) {
    paused.push_back(Json{{"name", entry.name}, {"id", entry.id}, {"seconds", entry.seconds}});
  }
  return {{"mode", record.mode}, {"paused", std::move(paused)}};
}

std::string file_name(const std::string& module, Timestamp time, const std::string& rest) {
  std::string name = fmt::format("{}-{}.{}", module, format_compact(time), rest);
  if (!valid_module_id(module) || !is_file_name(name)) {
    throw Error(ErrorKind::internal, fmt::format("\"{}\" is not a name for an artifact", name));
  }
  return name;
}

}  // namespace

bool is_safety_set(const Manifest& manifest) {
  return !manifest.purpose.empty();
}

Json to_json(const Manifest& manifest) {
  Json artifacts = Json::array();
  for (const ArtifactRecord& record : manifest.artifacts) artifacts.push_back(to_json(record));
  Json json{{"schema", manifest.schema},
            {"tool_version", manifest.tool_version},
            {"module", manifest.module},
            {"class", manifest.module_class},
            {"rule", manifest.rule},
            {"strategy", manifest.strategy},
            {"fallback", manifest.fallback ? Json(*manifest.fallback) : Json()},
            {"started", format_rfc3339(manifest.started)},
            {"finished", format_rfc3339(manifest.finished)},
            {"host", manifest.host},
            {"engine", object_or_empty(manifest.engine)},
            {"container", to_json(manifest.container)},
            {"consistency", to_json(manifest.consistency)},
            {"artifacts", std::move(artifacts)},
            {"facts", object_or_empty(manifest.facts)},
            {"incomplete", Json(manifest.incomplete)},
            {"warnings", Json(manifest.warnings)},
            {"follow_ups", Json(manifest.follow_ups)},
            {"members", Json(manifest.members)}};
  if (is_safety_set(manifest)) json["purpose"] = manifest.purpose;
  return json;
}

Manifest manifest_from_json(std::string_view text) {
  const Json json = parse_object(text);
  const Fields fields(json);
  Manifest manifest;
  manifest.schema = read_schema(fields);
  manifest.tool_version = fields.text("tool_version");
  manifest.module = fields.text("module");
  if (!valid_module_id(manifest.module)) {
    throw bad_field("module", fmt::format("must be a module id, not \"{}\"", manifest.module));
  }
  manifest.module_class = fields.text("class");
  if (manifest.module_class.size() != 1 || manifest.module_class[0] < 'A' ||
      manifest.module_class[0] > 'Z') {
    throw bad_field("class",
                    fmt::format("must be a capital letter, not \"{}\"", manifest.module_class));
  }
  manifest.rule = fields.text("rule");
  manifest.strategy = fields.text("strategy");
  manifest.fallback = fields.text_or_null("fallback");
  manifest.purpose = fields.text_if_any("purpose");
  manifest.started = fields.time("started");
  manifest.finished = fields.time("finished");
  manifest.host = fields.text("host");
  manifest.engine = fields.object("engine");
  manifest.container = read_container(fields.inside("container"));
  const Fields consistency = fields.inside("consistency");
  manifest.consistency = {consistency.text("mode"), consistency.list("paused", read_paused)};
  manifest.artifacts = fields.list("artifacts", read_artifact);
  manifest.facts = fields.object("facts");
  manifest.incomplete = fields.texts_if_any("incomplete");
  manifest.warnings = fields.texts("warnings");
  manifest.follow_ups = fields.texts("follow_ups");
  manifest.members = fields.list("members", file_name_of);
  if (manifest.artifacts.empty() && manifest.members.empty()) {
    throw bad_field("artifacts", "is empty, and so is \"members\"");
  }
  return manifest;
}

std::vector<std::string> set_files(const Manifest& manifest) {
  std::vector<std::string> files;
  for (const ArtifactRecord& record : manifest.artifacts) files.push_back(record.file);
  if (manifest.container.configuration) files.push_back(manifest.container.configuration->file);
  return files;
}

std::string artifact_name(const std::string& module, Timestamp time, const std::string& part,
                          const std::string& suffix) {
  return file_name(module, time, part.empty() ? suffix : part + '.' + suffix);
}

std::string manifest_name(const std::string& module, Timestamp time) {
  return file_name(module, time, std::string(manifest_rest));
}

std::string receipt_name(const std::string& module, Timestamp time) {
  return file_name(module, time, std::string(receipt_rest));
}

std::string configuration_name(const std::string& module, Timestamp time) {
  return file_name(module, time, std::string(configuration_rest));
}

bool ParsedName::is_manifest() const {
  return rest == manifest_rest;
}

bool ParsedName::is_receipt() const {
  return rest == receipt_rest;
}

std::optional<ParsedName> parse_name(std::string_view file) {
  constexpr std::string_view form = "-YYYYMMDDTHHMMSSZ.";
  // Ids may hold dashes, digits and dots, but no capitals: so no id can hold a timestamp, and the
  // first one in the name is the only one that ends a valid id.
  for (std::size_t dash = file.find('-'); dash != file.npos; dash = file.find('-', dash + 1)) {
    const std::string_view stamp = file.substr(dash + 1, form.size() - 2);
    const auto time = parse_compact(stamp);
    if (!time || format_compact(*time) != stamp) continue;
    const std::string_view module = file.substr(0, dash);
    const std::string_view rest = file.substr(dash + form.size() - 1);
    if (!valid_module_id(module) || rest.size() < 2 || rest.front() != '.') return std::nullopt;
    return ParsedName{std::string(module), *time, std::string(rest.substr(1))};
  }
  return std::nullopt;
}

}  // namespace bba::store
