-- The counts of `phds check` a third time: from docs/rules.md and the data files under dictionaries/, in DuckDB's SQL
-- with core functions alone. Its author read neither the program's source nor rules.py. README.md says how to run it.
--
-- The result is the table `counts`: rule, column (NULL for the rule as a whole), checked, failed. A rule that finds
-- nothing to check has 0 and 0.
--
-- The month is UTF-8 with one record a line. A line on which a quote stays open stops the run: only the lines after it
-- tell a value that holds a line end (fine) from a quote that was forgotten (PHDS-S11).
--
-- What no text says for certain, and is taken from the program:
--
--   all       A value is taken without the blanks around it. A value that is missing, or wrong by a rule of the fields,
--             is no value; a rule checks the rows that have all the values it looks at. Codes that a rule lets through,
--             and those without a window, are checked and pass.
--   S06-S12   A row breaks one rule of shape at most.
--   R08       Of the five meanings, completed months at vaccination alone: a month with another is not checked here.
--   R08, R17  Rows that break R01 have no age and are not checked; in R17, nor are those over 120.
--   R16       The word `unspecified` counts in capitals too.
--   R17, C04  Who was born on a day that a month lacks comes of age on the first of the next one.
--   X01-X08   All accepted rows are checked; in X02 and X03, those with the id.
--   X12       All accepted rows are checked, of any vaccine group and of none, as in X08.
--   X13       All clients are checked, with the birth date of the row that describes them (X05). So read here, and not
--             taken from the program: a row without a vaccine group is something else than hepatitis B vaccine.
--   H05       A file of fewer than a thousand accepted rows is checked and passes.
--   D05, C04  Only therapeutics, and only clients with the types IC and PA, are checked.
--   D01-D03   A row whose vaccine group is a therapeutic is no COVID-19 vaccine, whatever its CVX code.

-- What to run on. Set them before to override.
SET VARIABLE month = coalesce(getvariable('month'), 'month.csv');
SET VARIABLE period = coalesce(getvariable('period'), '2024-12');
SET VARIABLE dictionaries = coalesce(getvariable('dictionaries'), 'dictionaries');
SET VARIABLE max_rejected_share = coalesce(getvariable('max_rejected_share'), 0.05);

-- What follows from the period: its first and last day, and the second Monday after it.
SET VARIABLE period_begin = (getvariable('period') || '-01')::DATE;
SET VARIABLE period_end = last_day(getvariable('period_begin'));
SET VARIABLE due_date = (
    SELECT next_month + 7 + (8 - isodow(next_month))::INTEGER % 7
    FROM (SELECT getvariable('period_end') + 1 AS next_month)
);

-- What dictionary.toml and rules.toml say in a few words.
SET VARIABLE first_inclusion_day = DATE '2018-01-01';
SET VARIABLE disaster_from = DATE '2020-03-01';
SET VARIABLE disaster_to = DATE '2023-06-15';

------------------------------------------------------------------------------------------------------- the knowledge

-- The rules that SQL expresses. Left out: S01 to S05 and S09 refuse a file before there are rows to count; S11 needs
-- more than one line (above); R06 has no year in this dictionary; H01 to H04 compare with an earlier month's report.
CREATE OR REPLACE TEMP TABLE rules AS
SELECT 'PHDS-' || unnest(codes) AS rule, severity
FROM (VALUES
    ('refuse', ['P01']),
    ('reject', ['S06', 'S07', 'S08', 'S10', 'S12', 'F01', 'F03', 'F04', 'R01', 'R02', 'R04', 'R18', 'D01', 'D04',
                'C01', 'C02', 'C03', 'C04']),
    ('review', ['F02', 'F06', 'F07', 'F08', 'F09', 'R03', 'R05', 'R07', 'R08', 'R09', 'R10', 'R11', 'R12', 'R13',
                'R14', 'R15', 'R16', 'R17', 'X01', 'X02', 'X03', 'X04', 'X05', 'X06', 'X07', 'X08', 'X09', 'X10',
                'X11', 'X12', 'X13', 'H05', 'D02', 'D03', 'D05'])
) AS listed(severity, codes);

-- The columns of the file that a rule looks at, with those of the example edition with consent.
CREATE OR REPLACE TEMP TABLE fields AS
FROM (VALUES
    ('client_id', 'CLIENT ID', 'text', 'required', NULL, NULL),
    ('birth_date', 'BIRTH DATE', 'date', 'required', NULL, NULL),
    ('sex', 'SEX CODE', 'code', 'expected', 'sex', NULL),
    ('race_ethnicity', 'RACE AND ETHNICITY', 'code', 'expected', 'race_ethnicity', NULL),
    ('state', 'STATE CODE', 'code', 'expected', 'state', NULL),
    ('county', 'CLIENT COUNTY', 'code', 'expected', 'county', NULL),
    ('zip', 'ZIP CODE', 'zip', 'expected', NULL, NULL),
    ('immunization_id', 'IMMUNIZATION ID', 'text', 'optional', NULL, NULL),
    ('immunfact_id', 'IMMUNFACT ID', 'text', 'optional', NULL, NULL),
    ('vaccine_id', 'VACCINE ID', 'text', 'optional', NULL, 64),
    ('vaccination_date', 'VACCINATION DATE', 'date', 'required', NULL, NULL),
    ('cvx_code', 'CVX CODE', 'code', 'expected', 'cvx', NULL),
    ('vaccine_group', 'VACCINE GROUP', 'code', 'expected', 'vaccine_group', NULL),
    ('ordinal_position', 'ORDINAL POSITION', 'integer', 'optional', NULL, 999),
    ('age_in_months', 'AGE IN MONTHS', 'integer', 'optional', NULL, 1800),
    ('org_id', 'GIVEN BY ORG ID', 'text', 'expected', NULL, 64),
    ('provider_name', 'PROVIDER NAME', 'text', 'optional', NULL, 200),
    ('short_name', 'SHORT NAME', 'text', 'optional', NULL, 100),
    ('responsible_entity', 'RESPONSIBLE ENTITY', 'text', 'optional', NULL, 200),
    ('provider_city', 'PROVIDER CITY', 'text', 'optional', NULL, 100),
    ('provider_state', 'PROVIDER STATE', 'code', 'optional', 'state', NULL),
    ('provider_zip', 'PROVIDER ZIP CODE', 'zip', 'optional', NULL, NULL),
    ('consent_type', 'CONSENT TYPE', 'code', 'optional', 'consent_type', NULL),
    ('disaster_consent', 'DISASTER CONSENT', 'code', 'optional', 'disaster_consent', NULL),
    ('consent_date', 'CONSENT DATE', 'iso date', 'optional', NULL, NULL)
) AS field(name, header, type, presence, codelist, maximum);

-- Text without case, which is that of A to Z: `upper` would make an I of the Turkish ı too.
CREATE OR REPLACE TEMP MACRO capitals(text) AS
    translate(text, 'abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ');

-- Every spelling of every code, in capitals. The lists of `cvx` and of consent take no labels.
CREATE OR REPLACE TEMP TABLE spellings AS
WITH listed AS (
    SELECT parse_filename(filename, true) AS codelist, *
    FROM read_csv(
        list_transform(
            ['phds/codelists/sex', 'phds/codelists/race_ethnicity', 'phds/codelists/state', 'phds/codelists/county',
             'phds/codelists/vaccine_group', 'phds/codelists/cvx',
             'examples/consent/consent_type', 'examples/consent/disaster_consent'],
            lambda list: getvariable('dictionaries') || '/' || list || '.csv'
        ),
        all_varchar = true, header = true, delim = ',', union_by_name = true, filename = true
    )
)
SELECT DISTINCT codelist, capitals(unnest(
    [code]
    || CASE WHEN codelist IN ('cvx', 'consent_type', 'disaster_consent') THEN [] ELSE [label] END
    || coalesce(string_split(aliases, '|'), [])
)) AS spelling, code
FROM listed;

-- CVX codes with their vaccine groups and windows.
CREATE OR REPLACE TEMP TABLE cvx AS
SELECT
    code,
    nonvaccine = 'true' AS is_marked_nonvaccine,
    contains(lower(label), 'unspecified') AS is_unspecified,
    string_split(vaccine_groups, '|') AS vaccine_groups,
    in_use_from::DATE AS in_use_from,
    in_use_to::DATE AS in_use_to,
    min_age_months::INTEGER AS min_age_months,
    max_age_months::INTEGER AS max_age_months
FROM read_csv(getvariable('dictionaries') || '/phds/codelists/cvx.csv', all_varchar = true);

CREATE OR REPLACE TEMP TABLE rsv_antibodies AS
SELECT code FROM read_csv(getvariable('dictionaries') || '/phds/codelists/rsv_antibodies.csv', all_varchar = true);

CREATE OR REPLACE TEMP TABLE zip_county AS
SELECT zip, county FROM read_csv(getvariable('dictionaries') || '/phds/codelists/zip_county.csv', all_varchar = true);

CREATE OR REPLACE TEMP TABLE disaster_items AS
SELECT item, code, market, introduced::DATE AS introduced
FROM read_csv(getvariable('dictionaries') || '/phds/codelists/disaster_items.csv', all_varchar = true);

----------------------------------------------------------------------------------------------------------- the lines

-- Physical lines that are not blank. `text` is NULL for bytes that are not UTF-8: a blob as text writes all but plain
-- ASCII as \xHH, so that it can be cut at line ends whatever it holds.
CREATE OR REPLACE TEMP TABLE lines AS
WITH cut AS (
    SELECT unnest(string_split(regexp_replace(content::VARCHAR, '^\\xEF\\xBB\\xBF', ''), '\x0A')) AS escaped
    FROM read_blob(getvariable('month'))
), numbered AS (
    SELECT row_number() OVER () AS line, regexp_replace(escaped, '\\x0D$', '') AS escaped FROM cut
)
SELECT
    row_number() OVER (ORDER BY line) = 1 AS is_header,
    line,
    TRY(decode(escaped::BLOB)) AS text
FROM numbered
WHERE escaped <> '';

CREATE OR REPLACE TEMP TABLE header AS SELECT text FROM lines WHERE is_header;

-- The shape of each row. `raws` are its fields as they are written.
CREATE OR REPLACE TEMP TABLE records AS
WITH split AS (
    SELECT
        line,
        text,
        regexp_extract_all(',' || text, ',("(?:[^"]|"")*"|[^,]*)', 1) AS raws,
        regexp_full_match(',' || text, '(,("([^"]|"")*"|[^,"]*))*') AS is_quoted_well,
        regexp_full_match(',' || text, '(,("([^"]|"")*"|[^,"]*))*,"([^"]|"")*') AS is_open
    FROM lines
    WHERE NOT is_header
)
SELECT
    line,
    text,
    raws,
    CASE
        WHEN text IS NULL THEN 'PHDS-S07'
        WHEN is_open THEN error('A quote stays open on line ' || line || ': this oracle reads one record a line')
        WHEN regexp_matches(text, '[\x00-\x08\x0A-\x1F\x7F]') THEN 'PHDS-S10'
        WHEN NOT is_quoted_well THEN 'PHDS-S08'
        WHEN text = (SELECT text FROM header) THEN 'PHDS-S12'
        WHEN len(raws) <> (SELECT len(regexp_extract_all(',' || text, ',("(?:[^"]|"")*"|[^,]*)')) FROM header)
            THEN 'PHDS-S06'
    END AS broken_shape
FROM split;

---------------------------------------------------------------------------------------------------------- the values

-- Each field of each row of the right shape, less the blanks around it; NULL where it is missing.
CREATE OR REPLACE TEMP TABLE cells AS
WITH places AS (
    SELECT fields.*, place
    FROM (SELECT string_split(text, ',') AS names FROM header), unnest(names) WITH ORDINALITY AS named(header, place)
    JOIN fields USING (header)
), raw AS (
    SELECT line, unnest(raws) AS raw, generate_subscripts(raws, 1) AS place FROM records WHERE broken_shape IS NULL
), unquoted AS (
    SELECT line, place, if(starts_with(raw, '"'), replace(raw[2:length(raw) - 1], '""', '"'), raw) AS value FROM raw
), trimmed AS (
    SELECT line, place, regexp_replace(value, '^\s+|\s+$', '', 'g') AS value FROM unquoted
)
SELECT line, name, header, type, presence, codelist, maximum, if(capitals(value) IN ('', 'NULL'), NULL, value) AS value
FROM trimmed
JOIN places USING (place);

-- What each value means in the type of its field: NULL where it means nothing.
CREATE OR REPLACE TEMP TABLE meanings AS
WITH shaped AS (
    SELECT *, CASE
        WHEN type NOT IN ('date', 'iso date') THEN NULL
        WHEN regexp_full_match(value, '\d{4}-\d{2}-\d{2}') THEN 'iso'
        WHEN type = 'iso date' THEN NULL
        WHEN regexp_full_match(value, '\d{2}/\d{2}/\d{4}') THEN 'us'
        WHEN regexp_full_match(value, '\d{8}') THEN 'compact'
    END AS format
    FROM cells
)
SELECT
    shaped.*,
    TRY_CAST(CASE format
        WHEN 'iso' THEN value
        WHEN 'us' THEN regexp_replace(value, '(..)/(..)/(....)', '\3-\1-\2')
        WHEN 'compact' THEN regexp_replace(value, '(....)(..)(..)', '\1-\2-\3')
    END AS DATE) AS day,
    if(type = 'integer' AND regexp_full_match(value, '-?\d+'), TRY_CAST(value AS BIGINT), NULL) AS number,
    spellings.code,
    if(type = 'zip' AND regexp_full_match(value, '\d{5}(-?\d{4})?'), value[1:5], NULL) AS zip,
    if(type = 'text', value, NULL) AS text
FROM shaped
LEFT JOIN spellings ON spellings.codelist = shaped.codelist AND spellings.spelling = capitals(value);

-------------------------------------------------------------------------------------------------- rules of the fields

-- Here and below, `failed` is NULL where a rule does not check.
CREATE OR REPLACE TEMP TABLE outcomes_of_fields AS

-- PHDS-F01 Required value is missing
SELECT 'PHDS-F01' AS rule, header AS "column", line, value IS NULL AS failed FROM meanings WHERE presence = 'required'

-- PHDS-F02 Expected value is missing
UNION ALL
SELECT 'PHDS-F02', header, line, value IS NULL FROM meanings WHERE presence = 'expected'

-- PHDS-F03 Date cannot be read
UNION ALL
SELECT 'PHDS-F03', header, line, if(value IS NULL, NULL, day IS NULL) FROM meanings WHERE type IN ('date', 'iso date')

-- PHDS-F04 Not a whole number in its range
UNION ALL
SELECT 'PHDS-F04', header, line, if(value IS NULL, NULL, coalesce(number NOT BETWEEN 0 AND maximum, true))
FROM meanings
WHERE type = 'integer'

-- PHDS-F06 Code is not in the list
UNION ALL
SELECT 'PHDS-F06', header, line, if(value IS NULL, NULL, code IS NULL) FROM meanings WHERE codelist IS NOT NULL

-- PHDS-F07 Value does not have the form of its field
UNION ALL
SELECT 'PHDS-F07', header, line, if(value IS NULL, NULL, zip IS NULL) FROM meanings WHERE type = 'zip'
UNION ALL
SELECT 'PHDS-F07', header, line, if(value IS NULL, NULL, NOT regexp_full_match(value, '[0-9A-Za-z][0-9A-Za-z._-]*'))
FROM meanings
WHERE name = 'org_id'

-- PHDS-F08 Value is too long
UNION ALL
SELECT 'PHDS-F08', header, line, length(value) > maximum FROM meanings WHERE type = 'text' AND maximum IS NOT NULL

-- PHDS-F09 Dates of one column in several formats
UNION ALL
SELECT 'PHDS-F09', header, line, format <> mode(format) OVER (PARTITION BY header)
FROM meanings
WHERE type = 'date' AND day IS NOT NULL;

---------------------------------------------------------------------------------------------------- rules of the rows

-- The months of age that are completed on a day. Who was born on the 31st completes one on the first of the next month
-- where a month has no 31st.
CREATE OR REPLACE TEMP MACRO completed_months(born, today) AS
    12 * (year(today) - year(born)) + month(today) - month(born) - if(day(today) < day(born), 1, 0);

-- One line a row, with what its values mean.
CREATE OR REPLACE TEMP TABLE rows AS
WITH wide AS (
    SELECT
        line,
        any_value(text) FILTER (name = 'client_id') AS client,
        any_value(day) FILTER (name = 'birth_date') AS born,
        any_value(code) FILTER (name = 'sex') AS sex,
        any_value(code) FILTER (name = 'state') AS state,
        any_value(code) FILTER (name = 'county') AS county,
        any_value(zip) FILTER (name = 'zip') AS zip,
        any_value(text) FILTER (name = 'immunization_id') AS immunization_id,
        any_value(text) FILTER (name = 'immunfact_id') AS immunfact_id,
        any_value(day) FILTER (name = 'vaccination_date') AS vaccinated,
        any_value(code) FILTER (name = 'cvx_code') AS cvx_code,
        any_value(code) FILTER (name = 'vaccine_group') AS vaccine_group,
        any_value(number) FILTER (name = 'ordinal_position' AND number BETWEEN 0 AND maximum) AS ordinal_position,
        any_value(number) FILTER (name = 'age_in_months' AND number BETWEEN 0 AND maximum) AS age_in_months,
        any_value(text) FILTER (name = 'org_id') AS org_id,
        any_value(text) FILTER (name = 'provider_name') AS provider_name,
        any_value(code) FILTER (name = 'consent_type') AS consent_type,
        any_value(code) FILTER (name = 'disaster_consent') AS disaster_consent,
        any_value(day) FILTER (name = 'consent_date') AS consent_date
    FROM meanings
    GROUP BY line
)
SELECT
    wide.*,
    completed_months(born, vaccinated) AS months_of_age,
    therapeutic.item IS NOT NULL AS is_therapeutic,
    vaccine.item IS NOT NULL AND NOT is_therapeutic AS is_covid_vaccine,
    coalesce(vaccine.market = 'US' AND vaccine.introduced > getvariable('disaster_to'), false) AS is_after_disaster,
    vaccinated BETWEEN getvariable('disaster_from') AND getvariable('disaster_to') AS is_in_disaster
FROM wide
LEFT JOIN disaster_items AS vaccine ON vaccine.item = 'vaccine' AND vaccine.code = cvx_code
LEFT JOIN disaster_items AS therapeutic ON therapeutic.item = 'therapeutic' AND therapeutic.code = vaccine_group;

CREATE OR REPLACE TEMP TABLE outcomes_of_rows AS
WITH codes AS (
    SELECT rows.*, cvx.* EXCLUDE (code) FROM rows JOIN cvx ON code = cvx_code
)

-- PHDS-R01 Vaccination before birth
SELECT 'PHDS-R01' AS rule, line, vaccinated < born AS failed FROM rows

-- PHDS-R02 Vaccination in the future
UNION ALL
SELECT 'PHDS-R02', line, vaccinated > getvariable('due_date') FROM rows

-- PHDS-R03 Vaccination after the reporting period
UNION ALL
SELECT 'PHDS-R03', line, vaccinated > getvariable('period_end') AND vaccinated <= getvariable('due_date') FROM rows

-- PHDS-R04 Birth before 1890
UNION ALL
SELECT 'PHDS-R04', line, born < DATE '1890-01-01' FROM rows

-- PHDS-R18 Client id that a spreadsheet has rounded
UNION ALL
SELECT 'PHDS-R18', line, regexp_full_match(client, '[0-9]+([.,][0-9]+)?[Ee][+][0-9]+') FROM rows

-- PHDS-R05 Vaccination before the first inclusion year
UNION ALL
SELECT 'PHDS-R05', line, vaccinated < getvariable('first_inclusion_day') FROM rows

-- PHDS-R07 Vaccination at an age over 120 years
UNION ALL
SELECT 'PHDS-R07', line, months_of_age >= 12 * 121 FROM rows WHERE born >= DATE '1890-01-01'

-- PHDS-R08 Age in months disagrees with the dates
UNION ALL
SELECT 'PHDS-R08', line, age_in_months <> months_of_age
FROM rows
WHERE vaccinated >= born
QUALIFY avg((age_in_months = months_of_age)::INTEGER) OVER () >= 0.95

-- PHDS-R09 ZIP code is not in the county
UNION ALL
SELECT 'PHDS-R09', line, if(county IS NULL, NULL, (zip, county) NOT IN (FROM zip_county))
FROM rows
WHERE zip IN (SELECT zip FROM zip_county)

-- PHDS-R10 County of Texas in another state
UNION ALL
SELECT 'PHDS-R10', line, if(county IS NULL, NULL, state <> 'TX') FROM rows

-- PHDS-R11 Vaccine group is not one of the CVX code's
UNION ALL
SELECT 'PHDS-R11', line, NOT list_contains(vaccine_groups, vaccine_group) FROM codes

-- PHDS-R12 CVX code is not a vaccine
UNION ALL
SELECT 'PHDS-R12', line,
    is_marked_nonvaccine AND cvx_code NOT IN ('998', '999') AND cvx_code NOT IN (FROM rsv_antibodies)
FROM codes

-- PHDS-R13 No vaccine was administered
UNION ALL
SELECT 'PHDS-R13', line, cvx_code = '998' FROM codes

-- PHDS-R14 Vaccine is unknown
UNION ALL
SELECT 'PHDS-R14', line, cvx_code = '999' AND NOT is_therapeutic FROM codes

-- PHDS-R15 CVX code was not yet in use
UNION ALL
SELECT 'PHDS-R15', line, if(vaccinated IS NULL, NULL, coalesce(vaccinated < in_use_from, false)) FROM codes

-- PHDS-R16 CVX code was no longer in use
UNION ALL
SELECT 'PHDS-R16', line, if(vaccinated IS NULL, NULL,
    coalesce(vaccinated > in_use_to AND cvx_code NOT IN ('998', '999') AND NOT is_unspecified, false))
FROM codes

-- PHDS-R17 CVX code outside its age range
UNION ALL
SELECT 'PHDS-R17', line,
    cvx_code NOT IN ('998', '999') AND (
        coalesce(completed_months(born, vaccinated + 4) < min_age_months, false)
        OR coalesce(months_of_age > max_age_months, false))
FROM codes
WHERE vaccinated >= born AND months_of_age < 12 * 121

-- PHDS-D01 COVID-19 therapeutic outside the disaster period
UNION ALL
SELECT 'PHDS-D01', line, NOT is_in_disaster FROM rows WHERE is_therapeutic

-- PHDS-D02 COVID-19 vaccine outside the disaster period
UNION ALL
SELECT 'PHDS-D02', line, NOT is_in_disaster FROM rows WHERE is_covid_vaccine

-- PHDS-D03 COVID-19 vaccine before there was one
UNION ALL
SELECT 'PHDS-D03', line, vaccinated BETWEEN DATE '2020-03-01' AND DATE '2020-12-10' FROM rows WHERE is_covid_vaccine

-- PHDS-D04 COVID-19 vaccine dated before it existed
UNION ALL
SELECT 'PHDS-D04', line, is_in_disaster FROM rows WHERE is_after_disaster

-- PHDS-D05 Disaster item kept beyond five years
UNION ALL
SELECT 'PHDS-D05', line, true FROM rows WHERE is_therapeutic AND getvariable('period_end') > DATE '2028-06-15'

-- PHDS-C01 Item is not covered by the client's consent
UNION ALL
SELECT 'PHDS-C01', line,
    NOT CASE
        WHEN (is_covid_vaccine OR is_therapeutic) AND is_in_disaster
            THEN consent_type = 'DC' OR coalesce(disaster_consent = 'Y', false)
        ELSE consent_type IN ('IA', 'IC')
    END
FROM rows
WHERE consent_type IS NOT NULL AND vaccinated IS NOT NULL

-- PHDS-C02 Consent is not active within five years
UNION ALL
SELECT 'PHDS-C02', line, coalesce(
    consent_date + INTERVAL 5 YEAR < getvariable('period_end') OR consent_date > getvariable('period_end'), true)
FROM rows
WHERE 'CONSENT DATE' IN (SELECT header FROM cells)

-- PHDS-C03 No consent recorded
UNION ALL
SELECT 'PHDS-C03', line, consent_type IS NULL FROM rows WHERE 'CONSENT TYPE' IN (SELECT header FROM cells)

-- PHDS-C04 Child's consent beyond the age of 26
UNION ALL
SELECT 'PHDS-C04', line, completed_months(born, getvariable('period_end')) >= 12 * 26
FROM rows
WHERE consent_type IN ('IC', 'PA');

----------------------------------------------------------------------------------------------- rules across the rows

-- The rows that broke no rule of severity reject, and whether one stands as it is in an earlier line.
CREATE OR REPLACE TEMP TABLE accepted AS
SELECT rows.*, row_number() OVER (PARTITION BY client, text ORDER BY line) > 1 AS is_again
FROM rows
JOIN records USING (line)
WHERE line NOT IN (SELECT line FROM outcomes_of_fields JOIN rules USING (rule) WHERE failed AND severity = 'reject')
    AND line NOT IN (SELECT line FROM outcomes_of_rows JOIN rules USING (rule) WHERE failed AND severity = 'reject');

-- The row that describes each client: that of the latest vaccination, and the last in the file of several.
CREATE OR REPLACE TEMP TABLE descriptions AS
SELECT DISTINCT ON (client) client, born, sex, county FROM accepted ORDER BY vaccinated DESC, line DESC;

CREATE OR REPLACE TEMP TABLE outcomes_across_rows AS

-- PHDS-X01 Row is there again
SELECT 'PHDS-X01' AS rule, is_again AS failed FROM accepted

-- PHDS-X02 IMMUNFACT ID is there again
UNION ALL
SELECT 'PHDS-X02', row_number() OVER (PARTITION BY immunfact_id ORDER BY line) > 1
FROM accepted
WHERE immunfact_id IS NOT NULL

-- PHDS-X03 IMMUNIZATION ID of two shots
UNION ALL
SELECT 'PHDS-X03',
    (client, vaccinated) <> first((client, vaccinated)) OVER (PARTITION BY immunization_id ORDER BY line)
FROM accepted
WHERE immunization_id IS NOT NULL

-- PHDS-X04 Dose is there again
UNION ALL
SELECT 'PHDS-X04', NOT is_again AND cvx_code IS NOT NULL
    AND row_number() OVER (PARTITION BY client, cvx_code, vaccine_group, vaccinated ORDER BY line) > 1
FROM accepted

-- PHDS-X05 Client with two birth dates
UNION ALL
SELECT 'PHDS-X05', coalesce(accepted.born <> descriptions.born, false) FROM accepted JOIN descriptions USING (client)

-- PHDS-X06 Client with two sexes
UNION ALL
SELECT 'PHDS-X06', coalesce(accepted.sex <> descriptions.sex, false) FROM accepted JOIN descriptions USING (client)

-- PHDS-X07 Client in two counties
UNION ALL
SELECT 'PHDS-X07', coalesce(accepted.county <> descriptions.county, false)
FROM accepted
JOIN descriptions USING (client)

-- PHDS-X08 Ordinal position against the order of days
UNION ALL
SELECT 'PHDS-X08', NOT is_again AND vaccine_group IS NOT NULL
    AND coalesce(ordinal_position < max(ordinal_position) OVER earlier_days, false)
FROM accepted
WINDOW earlier_days AS (
    PARTITION BY client, vaccine_group ORDER BY vaccinated
    RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 DAY PRECEDING
)

-- PHDS-X09 Client with more doses than plausible
UNION ALL
SELECT 'PHDS-X09', count(DISTINCT (vaccinated, cvx_code)) > 150 FROM accepted GROUP BY client

-- PHDS-X10 Organization id with two names
UNION ALL
SELECT 'PHDS-X10', provider_name <> first(provider_name) OVER (PARTITION BY org_id ORDER BY line)
FROM accepted
WHERE length(org_id) <= 64 AND length(provider_name) <= 200

-- PHDS-X11 Organization name with two ids
UNION ALL
SELECT 'PHDS-X11', org_id <> first(org_id) OVER (PARTITION BY provider_name ORDER BY line)
FROM accepted
WHERE length(org_id) <= 64 AND length(provider_name) <= 200

-- PHDS-X12 Dose soon after another
UNION ALL
SELECT 'PHDS-X12', NOT is_again AND count(*) OVER days_before > 0
    AND coalesce(vaccine_group IN ('DTAP', 'FLU', 'HepA', 'HepB', 'HIB', 'HPV', 'MENING', 'MeningB', 'MMR', 'PneumoPCV',
        'PneumoPPV', 'POLIO', 'ROTAVIRUS', 'RSV', 'Td', 'TDAP', 'VARICELLA', 'ZOSTER'), false)
FROM accepted
WINDOW days_before AS (
    PARTITION BY client, vaccine_group ORDER BY vaccinated
    RANGE BETWEEN INTERVAL 23 DAYS PRECEDING AND INTERVAL 1 DAY PRECEDING
)

-- PHDS-X13 Client with nothing but a birth dose
UNION ALL
SELECT 'PHDS-X13', bool_and(
    completed_months(descriptions.born, getvariable('period_end')) >= 12 * 2
    AND coalesce(vaccine_group = 'HepB', false)
    AND vaccinated BETWEEN descriptions.born AND descriptions.born + 3)
FROM accepted
JOIN descriptions USING (client)
GROUP BY client;

----------------------------------------------------------------------------------------------------------- the counts

-- PHDS-S06 Row has too few or too many fields
-- PHDS-S07 Row is not text in the file's encoding
-- PHDS-S08 Quote in the wrong place
-- PHDS-S10 Control character in a row
-- PHDS-S12 Header stands among the rows
CREATE OR REPLACE TEMP TABLE outcomes_of_shape AS
SELECT rule, coalesce(broken_shape = rule, false) AS failed
FROM records, unnest(['PHDS-S06', 'PHDS-S07', 'PHDS-S08', 'PHDS-S10', 'PHDS-S12']) AS shapes(rule);

CREATE OR REPLACE TEMP TABLE outcomes_of_file AS

-- PHDS-P01 Too many rows are rejected
SELECT 'PHDS-P01' AS rule,
    1 - (SELECT count(*) FROM accepted) / (SELECT count(*) FROM records) > getvariable('max_rejected_share') AS failed

-- PHDS-H05 Hardly a dose in the reporting period
UNION ALL
SELECT 'PHDS-H05', count(*) >= 1000 AND (
    count(*) FILTER (vaccinated BETWEEN getvariable('period_begin') AND getvariable('period_end')) = 0
    OR 10 * count(*) FILTER (vaccinated BETWEEN getvariable('period_begin') AND getvariable('period_end'))
        < count(*) FILTER (vaccinated >= getvariable('period_begin') - INTERVAL 1 MONTH
            AND vaccinated < getvariable('period_begin')))
FROM accepted;

CREATE OR REPLACE TABLE counts AS
WITH outcomes AS (
    SELECT rule, NULL::VARCHAR AS "column", failed FROM outcomes_of_file
    UNION ALL SELECT rule, NULL, failed FROM outcomes_of_shape
    UNION ALL SELECT rule, "column", failed FROM outcomes_of_fields
    UNION ALL SELECT rule, NULL, failed FROM outcomes_of_fields
    UNION ALL SELECT rule, NULL, failed FROM outcomes_of_rows
    UNION ALL SELECT rule, NULL, failed FROM outcomes_across_rows
)
SELECT rule, "column", count(failed) AS checked, count(*) FILTER (failed) AS failed
FROM rules
LEFT JOIN outcomes USING (rule)
GROUP BY rule, "column";

FROM counts ORDER BY ALL;
