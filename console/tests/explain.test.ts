import assert from "node:assert/strict";
import { test } from "node:test";
import { explain, explainAddress } from "../src/pages/sign-in/explain.ts";

test("issue 13: no text of the address is shown", () => {
  assert.equal(explainAddress("otp_expired"), "This link has been used, or is too old. Ask for a new one.");
  for (const code of ["", "Call +1 555 0100", "<b>x</b>", "toString", "constructor", "__proto__", "OTP_EXPIRED"]) {
    assert.equal(explainAddress(code), "The sign-in did not succeed. Try again.", code);
  }
});

test("the sign-in service's own errors have words of ours, or the service's", () => {
  assert.equal(explain({ code: "invalid_credentials", message: "x" }), "E-mail and password do not fit together.");
  assert.equal(explain({ code: "toString", message: "Signups are off" }), "Signups are off");
  for (const nothing of [null, {}, { message: "" }, { message: "{}" }, new TypeError("")]) {
    assert.equal(explain(nothing), "The sign-in service does not answer. Try again in a moment.");
  }
});
