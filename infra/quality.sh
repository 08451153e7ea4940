#!/usr/bin/env bash
# Measures quality on samples of recorded logs and fails below a floor. The project does not carry the logs: a sample
# without its log is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source infra/steps.sh
data=${THALWEG_DATA:-../shared/data}
thalweg=${CARGO_TARGET_DIR:-target}/debug/thalweg
failed=0

# sample NAME FILE ARGUMENTS…: continues after a failure, so that one run shows all of them.
sample() {
    local name=$1 file=$2
    shift 2
    step "quality: $name"
    if [[ ! -e $data/$file ]]; then
        echo "skipped: $file is not in the folder that THALWEG_DATA names"
        return
    fi
    "$thalweg" evaluate "$1" "$data/$file" "${@:2}" || failed=1
}

# Floors are about one point of HR and half a point of MRR below the measured figures (benches/README.md). A change that
# fails a floor cost quality.
sample "DIGINETICA, 40,000 views" ader-diginetica prequential --methods popularity,covisitation --limit 40000 \
    --floor hr_20=35.4 --floor mrr_20=16.4 --floor first_time_hr_20=21.6
sample "Globo, 60,000 clicks" globo-clicks-10-days.csv.gz prequential --methods popularity,covisitation --limit 60000 \
    --columns user=session_id,item=click_article_id,time=click_timestamp --floor hr_20=71.9 --floor mrr_20=31.0
sample "Online Retail, 40,000 lines" online-retail.csv.gz prequential --methods popularity,covisitation --limit 40000 \
    --type purchase --columns user=CustomerID,item=StockCode,time=InvoiceDate,value=Quantity \
    --floor hr_20=33.4 --floor mrr_20=16.4 --floor first_time_hr_20=31.7
sample "REES46, all of the slice, with its catalog" rees46-2h50.csv.gz prequential --methods covisitation \
    --columns user=user_id,item=product_id,time=event_time,type=event_type,category=category_code,brand=brand,price=price \
    --catalog from-start --floor hr_20=61.2 --floor mrr_20=38.5 --floor first_time_hr_20=39.6
sample "ADER, the first two weeks" ader-diginetica ader --blocks 2 --floor recall_20=53.3 --floor mrr_20=20.1

step_ends
((failed == 0)) || {
    echo "error: a sample above failed. If a figure is below its floor, find the change that lowered it, or say in benches/figures/floors.json why the change is worth it." >&2
    exit 1
}
