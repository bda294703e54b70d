// The audit's report for people (120 columns), for a runbook (Markdown) and for programs (JSON).
#include "bba/commands/audit/audit_text.hpp"

#include <algorithm>

#include "bba/base/text.hpp"
#include "bba/services/registry.hpp"

namespace bba::commands {

namespace {

constexpr std::size_t page_width = 120;
constexpr std::size_t shown_first_runs = 5;

std::string_view class_title(char module_class) {
  return services::service_by_letter(module_class)->title();
}

std::string_view name(Ready ready) {
  switch (ready) {
    case Ready::yes:
      return "yes";
    case Ready::partly:
      return "partly";
    case Ready::unknown:
      return "?";
    case Ready::no:
      return "no";
  }
  return "?";
}

// One unit is enough to see whether it is old: "3h", "12d".
std::string age(Timestamp from, Timestamp to) {
  const std::string text = format_duration(to - from);
  return text.substr(0, text.find(' '));
}

std::string last_backup(const AuditRow& row, const AuditReport& report) {
  if (!report.backups_trouble.empty()) return "?";
  return row.last_backup ? age(row.last_backup->time, report.time) : "never";
}

std::string size_text(const std::optional<tree::MeasureResult>& size) {
  if (!size) return "?";
  return (size->whole ? "" : ">") + format_bytes(size->bytes);
}

// Shortened in the middle, as the end matters, too.
std::string shortened(const std::string& text, std::size_t most) {
  const std::string plain = printable(text);
  std::vector<std::string_view> letters;
  for (std::string_view rest = plain; !rest.empty();) {
    const std::size_t length = std::max<std::size_t>(utf8_length(rest), 1);
    letters.push_back(rest.substr(0, length));
    rest.remove_prefix(length);
  }
  if (letters.size() <= most) return plain;
  const std::size_t tail = (most - 2) / 2;
  const std::size_t head = most - 2 - tail;
  std::string out;
  for (std::size_t i = 0; i < head; ++i) out += letters[i];
  out += "..";
  for (std::size_t i = letters.size() - tail; i < letters.size(); ++i) out += letters[i];
  return out;
}

// `text` in lines of the page, each indented by `indent` blanks, broken between words.
std::string wrapped(const std::string& text, std::size_t indent) {
  std::string out;
  std::string line;
  const auto flush = [&] {
    if (!line.empty()) out += std::string(indent, ' ') + line + "\n";
    line.clear();
  };
  for (const std::string_view word : split(text, ' ')) {
    if (!line.empty() && indent + line.size() + 1 + word.size() > page_width) flush();
    if (!line.empty()) line += ' ';
    line += word;
  }
  flush();
  return out;
}

std::vector<std::string> notes_without(const AuditRow& row, std::string_view left_out) {
  std::vector<std::string> notes;
  for (const std::string& note : row.notes) {
    if (note != left_out) notes.push_back(note);
  }
  return notes;
}

std::string container_text(const AuditRow& row) {
  if (row.container.empty()) return "-";
  return row.state.empty() && row.found_by.empty() ? "(" + row.container + ")" : row.container;
}

std::string summary(const AuditReport& report) {
  std::size_t yes = 0, partly = 0, no = 0, backed_up = 0, sidecars = 0;
  for (const AuditRow& row : report.rows) {
    sidecars += !row.through.empty();
    yes += row.ready == Ready::yes;
    partly += row.ready == Ready::partly;
    no += row.ready == Ready::no;
    backed_up += row.last_backup.has_value();
  }
  std::string text = fmt::format("{} stateful modules", report.rows.size() - sidecars);
  if (sidecars > 0) text += fmt::format(", {} sidecar-bound", sidecars);
  text += ": ";
  if (report.engine_trouble.empty()) {
    text += fmt::format("{} ready, {} partly, {} not", yes, partly, no);
  } else {
    text += "whether they are ready is unknown without an engine";
  }
  if (report.backups_trouble.empty()) text += fmt::format("; {} have a backup", backed_up);
  return text;
}

// What the reader must know before the rows.
std::vector<std::string> caveats(const AuditReport& report) {
  std::vector<std::string> lines;
  if (!report.engine_trouble.empty()) {
    lines.push_back("The engine did not answer, so this is what the files say: " +
                    report.engine_trouble);
  }
  if (!report.backups_trouble.empty()) {
    lines.push_back("The backup directory could not be read: " + report.backups_trouble);
  }
  for (const std::string& remark : report.remarks) lines.push_back(remark);
  return lines;
}

// One line for each; those that differ only in their subject share one.
std::vector<std::string> finding_lines(const AuditReport& report) {
  struct Group {
    const Finding* first;
    std::vector<std::string> subjects;
  };
  std::vector<Group> groups;
  for (const Finding& finding : report.findings) {
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
      return group.first->what == finding.what && group.first->hint == finding.hint;
    });
    if (same == groups.end()) {
      groups.push_back({&finding, {finding.subject}});
    } else {
      same->subjects.push_back(finding.subject);
    }
  }
  std::vector<std::string> lines;
  for (const Group& group : groups) {
    std::string text = group.first->subject.empty() ? "" : join(group.subjects, ", ") + ": ";
    text += group.first->what;
    if (!group.first->hint.empty()) text += "; " + group.first->hint;
    lines.push_back(std::move(text));
  }
  return lines;
}

std::string no_first_run(const AuditReport& report) {
  if (!report.engine_trouble.empty())
    return "none: without an engine it is not known what is running";
  return fmt::format(
      "none: a candidate has no backup, is plain files up to {}, not core, not security-sensitive, "
      "shares its data with no other container and is running",
      format_bytes(small_enough));
}

}  // namespace

std::string audit_table(const AuditReport& report) {
  // The rest of the page belongs to the paths.
  constexpr std::size_t most_module = 30, most_container = 26;
  constexpr std::size_t size_width = 11, last_width = 5, ready_width = 6;
  std::size_t module_width = 6, container_width = 9, data_width = 4;
  for (const AuditRow& row : report.rows) {
    module_width = std::max(module_width, row.module.size());
    container_width = std::max(container_width, container_text(row).size());
    for (const AuditData& data : row.data) data_width = std::max(data_width, data.path.size());
  }
  module_width = std::min(module_width, most_module);
  container_width = std::min(container_width, most_container);
  data_width = std::min(data_width, page_width - module_width - container_width - size_width -
                                        last_width - ready_width - 2 * 6);

  const auto line = [&](std::string_view module, std::string_view container, std::string_view data,
                        std::string_view size, std::string_view last, std::string_view ready) {
    std::string text =
        fmt::format("  {:<{}}  {:<{}}  {:<{}}  {:>{}}  {:>{}}  {}", module, module_width, container,
                    container_width, data, data_width, size, size_width, last, last_width, ready);
    text.resize(text.find_last_not_of(' ') + 1);
    return text + "\n";
  };

  std::string text = fmt::format("Platform {} on {}, {}\n", printable(report.platform_root),
                                 printable(report.host), format_rfc3339(report.time));
  text += summary(report) + "\n";
  for (const std::string& caveat : caveats(report)) text += wrapped(printable(caveat), 0);
  text += "\n" + line("MODULE", "CONTAINER", "DATA", "SIZE", "LAST", "READY");

  char current = 0;
  for (const AuditRow& row : report.rows) {
    if (row.module_class != current) {
      current = row.module_class;
      text += fmt::format("{}  {}\n", current, class_title(current));
    }
    const auto data_text = [&](const AuditData& data) { return shortened(data.path, data_width); };
    const bool has_data = !row.data.empty();
    text +=
        line(shortened(row.module, module_width), shortened(container_text(row), container_width),
             has_data ? data_text(row.data.front()) : "-",
             has_data ? size_text(row.data.front().size) : "", last_backup(row, report),
             name(row.ready));
    for (std::size_t i = 1; i < row.data.size(); ++i) {
      text += line("", "", data_text(row.data[i]), size_text(row.data[i].size), "", "");
    }
    text += wrapped(printable(join(notes_without(row, never_backed_up), "; ")), 6);
  }

  text += "\nFindings\n";
  if (report.findings.empty()) text += "  none\n";
  for (const std::string& finding : finding_lines(report)) {
    text += "  - " + wrapped(printable(finding), 4).substr(4);
  }

  text += "\nCandidates for a first run, lowest blast radius first\n";
  if (report.first_runs.empty()) text += wrapped(no_first_run(report), 2);
  const std::size_t shown = std::min(report.first_runs.size(), shown_first_runs);
  for (std::size_t i = 0; i < shown; ++i) {
    text += fmt::format("  {}. {:<{}}  {}\n", i + 1, report.first_runs[i].module, module_width - 3,
                        report.first_runs[i].reason);
  }
  if (report.first_runs.size() > shown) {
    text += fmt::format("     and {} more (--format json has them)\n",
                        report.first_runs.size() - shown);
  }
  return text;
}

namespace {

// For a table's cell: what means something in Markdown is escaped.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '|' || c == '<' || c == '*') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string audit_markdown(const AuditReport& report) {
  std::string text =
      fmt::format("## Backup audit of {}, {}\n\n", cell(report.host), format_rfc3339(report.time));
  text += summary(report) + ".\n";
  for (const std::string& caveat : caveats(report)) text += "\n> " + cell(caveat) + "\n";

  text +=
      "\n| module | class | container | data | last backup | ready | notes |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const AuditRow& row : report.rows) {
    std::vector<std::string> data;
    for (const AuditData& one : row.data) {
      data.push_back(fmt::format("{} ({})", one.path, size_text(one.size)));
    }
    text += fmt::format(
        "| {} | {} | {} | {} | {} | {} | {} |\n", cell(row.module), row.module_class,
        cell(container_text(row)), cell(join(data, ", ")),
        row.last_backup ? format_rfc3339(row.last_backup->time) : last_backup(row, report),
        name(row.ready), cell(join(notes_without(row, never_backed_up), "; ")));
  }

  text += "\n### Findings\n\n";
  if (report.findings.empty()) text += "None.\n";
  for (const std::string& finding : finding_lines(report)) {
    text += "- " + cell(finding) + "\n";
  }

  text += "\n### Candidates for a first run\n\n";
  if (report.first_runs.empty()) text += cell(no_first_run(report)) + "\n";
  for (std::size_t i = 0; i < std::min(report.first_runs.size(), shown_first_runs); ++i) {
    text += fmt::format("{}. {}: {}\n", i + 1, cell(report.first_runs[i].module),
                        cell(report.first_runs[i].reason));
  }
  return text;
}

Json audit_json(const AuditReport& report) {
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? Json() : Json(text);
  };
  Json json = {{"platform_root", report.platform_root},
               {"host", report.host},
               {"time", format_rfc3339(report.time)},
               {"engine_trouble", text_or_null(report.engine_trouble)},
               {"backups_trouble", text_or_null(report.backups_trouble)},
               {"remarks", report.remarks}};
  Json& modules = json["modules"] = Json::array();
  for (const AuditRow& row : report.rows) {
    Json one = {{"module", row.module},
                {"class", std::string(1, row.module_class)},
                {"rule", row.rule},
                {"through", row.through},
                {"container", text_or_null(row.container)},
                {"state", text_or_null(row.state)},
                {"found_by", text_or_null(row.found_by)},
                {"image", text_or_null(row.image)},
                {"stack", text_or_null(row.stack)}};
    Json& data = one["data"] = Json::array();
    for (const AuditData& each : row.data) {
      data.push_back({{"path", each.path},
                      {"source", each.source},
                      {"bytes", each.size ? Json(each.size->bytes) : Json()},
                      {"whole", each.size && each.size->whole}});
    }
    one["shared_with"] = row.sharing;
    one["last_backup"] = row.last_backup
                             ? Json{{"time", format_rfc3339(row.last_backup->time)},
                                    {"age_seconds", (report.time - row.last_backup->time).count()},
                                    {"bytes", row.last_backup->bytes},
                                    {"missing", row.last_backup->missing}}
                             : Json();
    one["ready"] = row.ready == Ready::unknown ? Json() : Json(name(row.ready));
    one["notes"] = row.notes;
    modules.push_back(std::move(one));
  }
  Json& findings = json["findings"] = Json::array();
  for (const Finding& finding : report.findings) {
    findings.push_back({{"kind", finding.kind},
                        {"subject", text_or_null(finding.subject)},
                        {"what", finding.what},
                        {"hint", text_or_null(finding.hint)}});
  }
  Json& first = json["first_runs"] = Json::array();
  for (const FirstRun& run : report.first_runs) {
    first.push_back({{"module", run.module},
                     {"class", std::string(1, run.module_class)},
                     {"reason", run.reason}});
  }
  return json;
}

}  // namespace bba::commands
