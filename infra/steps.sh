# Names each step of a script as it begins, and prints its time when the next step begins. Sourced by the checks.
# shellcheck shell=bash

steps=()
step_name=
step_began=0

# step NAME…: ends the previous step and begins this one.
step() {
    step_ends
    step_name=$*
    step_began=$SECONDS
    printf '\n== %s\n' "$*"
}

# Ends the current step. Scripts call it only after their last step.
step_ends() {
    if [[ -z $step_name ]]; then
        return
    fi
    local took=$((SECONDS - step_began))
    steps+=("$(printf '%3d:%02d  %s' $((took / 60)) $((took % 60)) "$step_name")")
    printf -- '-- %d:%02d\n' $((took / 60)) $((took % 60))
    step_name=
}

# Ends the last step and lists all steps with their times.
steps_taken() {
    step_ends
    printf '\n== the time of each step\n'
    printf '%s\n' "${steps[@]}" "$(printf '%3d:%02d  all' $((SECONDS / 60)) $((SECONDS % 60)))"
}
