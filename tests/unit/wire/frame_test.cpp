#include "bba/wire/frame.hpp"

#include <random>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

using namespace bba;
using namespace bba::wire;

namespace {

std::string header(unsigned char stream, std::uint32_t length) {
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(stream);
  for (unsigned i = 0; i < 4; ++i) {
    bytes[7 - i] = static_cast<char>(static_cast<unsigned char>(length >> (8 * i)));
  }
  return bytes;
}

std::string frame(unsigned char stream, const std::string& payload) {
  return header(stream, static_cast<std::uint32_t>(payload.size())) + payload;
}

struct Outcome {
  std::string in, out, err;
  FrameError error = FrameError::none;
  std::uint64_t offset = 0;

  bool operator==(const Outcome&) const = default;
};

// Feeds `inputs` one after the other, then the end.
Outcome parse(const std::vector<std::string>& inputs) {
  FrameParser parser;
  Outcome outcome;
  for (const std::string& input : inputs) {
    std::size_t position = 0;
    while (const auto piece = parser.next(as_bytes(input), position)) {
      REQUIRE(piece->offset + piece->length == position);
      REQUIRE(piece->length > 0);
      std::string& text = piece->stream == FrameStream::in    ? outcome.in
                          : piece->stream == FrameStream::out ? outcome.out
                                                              : outcome.err;
      text += input.substr(piece->offset, piece->length);
    }
    REQUIRE(position <= input.size());
    if (parser.error() == FrameError::none) REQUIRE(position == input.size());
  }
  outcome.error = parser.finish();
  outcome.offset = parser.offset();
  return outcome;
}

std::vector<std::string> single_bytes(const std::string& text) {
  std::vector<std::string> bytes;
  for (const char c : text) bytes.emplace_back(1, c);
  return bytes;
}

const std::string sample = frame(1, "hello") + frame(2, "oh") + frame(1, "") + frame(0, "x") +
                           frame(1, std::string(300, 'z'));

}  // namespace

TEST_CASE("frames: the streams are separated, and each is joined in order") {
  const Outcome whole = parse({sample});
  CHECK(whole.out == "hello" + std::string(300, 'z'));
  CHECK(whole.err == "oh");
  CHECK(whole.in == "x");
  CHECK(whole.error == FrameError::none);
  CHECK(whole.offset == sample.size());
}

TEST_CASE("frames: no input is a clean end") {
  CHECK(parse({}).error == FrameError::none);
  CHECK(parse({""}).error == FrameError::none);
}

TEST_CASE("frames: every split of the input gives the same") {
  const Outcome whole = parse({sample});
  for (std::size_t first = 0; first <= sample.size(); ++first) {
    CHECK(parse({sample.substr(0, first), sample.substr(first)}) == whole);
  }
  const std::string head = sample.substr(0, 40);
  const Outcome short_whole = parse({head});
  for (std::size_t first = 0; first <= head.size(); ++first) {
    for (std::size_t second = first; second <= head.size(); ++second) {
      CHECK(parse({head.substr(0, first), head.substr(first, second - first),
                   head.substr(second)}) == short_whole);
    }
  }
  CHECK(parse(single_bytes(sample)) == whole);
}

TEST_CASE("frames: an end anywhere except between two frames is an error") {
  std::vector<std::size_t> boundaries;
  std::vector<std::pair<std::size_t, std::size_t>> headers;
  std::size_t at = 0;
  for (const std::size_t payload : {5U, 2U, 0U, 1U, 300U}) {
    boundaries.push_back(at);
    headers.emplace_back(at, at + 8);
    at += 8 + payload;
  }
  boundaries.push_back(at);
  for (std::size_t cut = 0; cut <= sample.size(); ++cut) {
    FrameError expected = FrameError::cut_in_payload;
    for (const auto& [begin, end] : headers) {
      if (cut > begin && cut < end) expected = FrameError::cut_in_header;
    }
    for (const std::size_t boundary : boundaries) {
      if (cut == boundary) expected = FrameError::none;
    }
    CAPTURE(cut);
    CHECK(parse({sample.substr(0, cut)}).error == expected);
  }
}

TEST_CASE("frames: invalid input is refused at its first wrong byte") {
  for (int stream = 3; stream < 256; ++stream) {
    const Outcome outcome =
        parse({frame(1, "ok") + header(static_cast<unsigned char>(stream), 1) + "x"});
    CHECK(outcome.error == FrameError::unknown_stream);
    CHECK(outcome.out == "ok");
    CHECK(outcome.offset == 10);
  }
  for (const std::size_t i : {1U, 2U, 3U}) {
    std::string bytes = frame(1, "abc");
    bytes[i] = 1;
    const Outcome outcome = parse({bytes});
    CHECK(outcome.error == FrameError::nonzero_padding);
    CHECK(outcome.offset == i);
  }
  CHECK(parse({"plain text of a terminal"}).error == FrameError::unknown_stream);
}

TEST_CASE("frames: after an error nothing is consumed any more") {
  FrameParser parser;
  std::size_t position = 0;
  CHECK_FALSE(parser.next(as_bytes("?"), position));
  CHECK(position == 0);
  const std::string good = frame(1, "later");
  CHECK_FALSE(parser.next(as_bytes(good), position));
  CHECK(position == 0);
  CHECK(parser.finish() == FrameError::unknown_stream);
}

TEST_CASE("frames: every piece of an input is handed out, up to the first error") {
  FrameParser parser;
  std::vector<std::pair<FrameStream, std::string>> pieces;
  const auto feed = [&](const std::string& input) {
    return parser.feed(as_bytes(input), [&](const FrameParser::Piece& piece) {
      pieces.emplace_back(piece.stream, input.substr(piece.offset, piece.length));
    });
  };
  CHECK(feed(frame(1, "hello") + frame(2, "oh") + header(1, 4) + "cu") == FrameError::none);
  CHECK(feed("") == FrameError::none);
  CHECK(feed("t." + frame(1, "") + "?" + frame(1, "lost")) == FrameError::unknown_stream);
  CHECK(feed(frame(1, "lost")) == FrameError::unknown_stream);
  const std::vector<std::pair<FrameStream, std::string>> expected{{FrameStream::out, "hello"},
                                                                  {FrameStream::err, "oh"},
                                                                  {FrameStream::out, "cu"},
                                                                  {FrameStream::out, "t."}};
  CHECK(pieces == expected);
}

TEST_CASE("frames: an error of the receiver comes through, and the rest can be read later") {
  FrameParser parser;
  const std::string first = frame(1, "ab");
  const auto refuse = [](const FrameParser::Piece&) { throw std::string("no more"); };
  CHECK_THROWS_AS(parser.feed(as_bytes(first), refuse), std::string);
  std::size_t taken = 0;
  const auto count = [&](const FrameParser::Piece& piece) { taken += piece.length; };
  CHECK(parser.feed(as_bytes(frame(2, "cde")), count) == FrameError::none);
  CHECK(taken == 3);
  CHECK(parser.finish() == FrameError::none);
}

TEST_CASE("frames: a length of 4 GiB is accepted") {
  FrameParser parser;
  std::size_t position = 0;
  const std::string bytes = header(1, UINT32_MAX) + "abc";
  const auto piece = parser.next(as_bytes(bytes), position);
  REQUIRE(piece);
  CHECK(piece->length == 3);
  const std::string more(1 << 20, 'm');
  std::uint64_t left = UINT32_MAX - 3ULL;
  while (left > 0) {
    position = 0;
    const std::string_view input =
        std::string_view(more).substr(0, std::min<std::uint64_t>(left, more.size()));
    const auto next = parser.next(as_bytes(input), position);
    REQUIRE(next);
    REQUIRE(next->length == input.size());
    left -= next->length;
  }
  CHECK(parser.offset() == 8ULL + UINT32_MAX);
  CHECK(parser.finish() == FrameError::none);
}

TEST_CASE("frames: mutated input never breaks the parser, however it is cut") {
  std::mt19937 random(20261123);
  const auto below = [&](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  };
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string bytes = sample;
    for (std::size_t changes = below(6); changes > 0; --changes) {
      bytes[below(bytes.size())] = static_cast<char>(below(256));
    }
    bytes.resize(bytes.size() - below(20));
    const Outcome whole = parse({bytes});
    CHECK(whole.in.size() + whole.out.size() + whole.err.size() <= bytes.size());
    if (whole.error != FrameError::none) ++refused;
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = 1 + below(40);
      pieces.push_back(bytes.substr(at, size));
      at += size;
    }
    CHECK(parse(pieces) == whole);
  }
  CHECK(refused > 1000);
}

TEST_CASE("frames: every error has its own message") {
  CHECK(describe(FrameError::cut_in_header) == "the stream ended inside a frame header");
  CHECK(describe(FrameError::cut_in_payload) == "the stream ended inside a frame");
  CHECK(describe(FrameError::unknown_stream) != describe(FrameError::nonzero_padding));
}
