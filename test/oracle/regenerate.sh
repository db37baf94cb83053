#!/bin/sh
# Regenerates every fixture that comes from Python. PYTHON names the interpreter to make the virtual environment with, VENV the
# place of the environment (kept between calls).
set -eu
cd "$(dirname "$0")/../.."
venv=${VENV:-.cache/oracle-venv}
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt

oracle() {
  script=$1
  shift
  echo "test/oracle/$script.py" >&2
  # Safe path: a script's own folder is not searched for modules, so that no script can hide a package of its name.
  PYTHONSAFEPATH=1 PYTHONWARNINGS=ignore "$venv/bin/python" "test/oracle/$script.py" "$@"
}

# Writes through a temporary file: a failing script leaves the old fixture.
oracle_to() {
  fixture=$1
  shift
  oracle "$@" > "$fixture.new"
  mv "$fixture.new" "$fixture"
}

fixtures=test/fixtures
oracle ops
oracle families
oracle round
oracle_to "$fixtures/learning-rates.json" learning_rates
oracle_to "$fixtures/rotary.json" rotary
oracle_to "$fixtures/layer-drop.json" layer_drop
oracle gptq "$fixtures/gptq.safetensors"
oracle safetensors_fixture "$fixtures/safetensors/mixed.safetensors"
oracle tokenizers "$fixtures/tokenizers"
oracle_to "$fixtures/tokenizers/added-tokens.json" added_tokens "$fixtures/tokenizers"
oracle_to "$fixtures/chat-templates.json" chat_templates
oracle peft_load write "$fixtures/families/llama2" "$fixtures/peft"
if [ -n "${FEDBIOT_TEST_MODEL:-}" ]; then
  oracle_to "$fixtures/smollm2.json" smollm2 "$FEDBIOT_TEST_MODEL"
else
  echo 'smollm2.json is left as it is: FEDBIOT_TEST_MODEL is not set' >&2
fi
if [ -n "${FEDBIOT_TEST_MODEL:-}" ] && [ -n "${FEDBIOT_TEST_DATA:-}" ]; then
  oracle_to "$fixtures/token-ids.json" token_ids "$FEDBIOT_TEST_MODEL" "$FEDBIOT_TEST_DATA"
  oracle_to "$fixtures/eval-loss.json" eval_loss "$FEDBIOT_TEST_MODEL" "$FEDBIOT_TEST_DATA"
else
  echo 'token-ids.json and eval-loss.json are left as they are: FEDBIOT_TEST_MODEL and FEDBIOT_TEST_DATA are not set' >&2
fi
