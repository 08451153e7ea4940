# Names each step of a script as it begins and says what it took when the next begins. Sourced by those that check.
# shellcheck shell=bash

steps=()
step_name=
step_began=0

# step NAME…: ends the step before.
step() {
    step_ends
    step_name=$*
    step_began=$SECONDS
    printf '\n== %s\n' "$*"
}

# Called by itself only behind the last step.
step_ends() {
    if [[ -z $step_name ]]; then
        return
    fi
    local took=$((SECONDS - step_began))
    steps+=("$(printf '%3d:%02d  %s' $((took / 60)) $((took % 60)) "$step_name")")
    printf -- '-- %d:%02d\n' $((took / 60)) $((took % 60))
    step_name=
}

# Ends the last step and lists all of them with what they took.
steps_taken() {
    step_ends
    printf '\n== what each step took\n'
    printf '%s\n' "${steps[@]}" "$(printf '%3d:%02d  all' $((SECONDS / 60)) $((SECONDS % 60)))"
}
